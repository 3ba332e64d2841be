"""Videos as streams: frames with their exact times in, frames and sound out.

A clip is decoded frame by frame and never held whole. Frames come upright and
in sRGB; their times are whole numbers of the clip's own time base and leave as
they came, whatever their distances. Sound is never decoded: its packets are
copied. Nothing stands under its final name before it is whole.

Reading and writing need PyAV (the extra `video`).

Shapes: `h w` pixels, `c` channels: 3, or 4 with an alpha channel.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import fractions
import math
import os
from typing import Any, NamedTuple

from jaxtyping import UInt8
import numpy as np
from PIL import Image

from maskjax.training import files

MIN_SIDE = 32
# Pixels of a frame at most: those of a cinema's 4K.
MAX_PIXELS = 4096 * 2304
# Containers that hold a clip of their own. Others are lists that name further
# files or addresses, which nothing here is to open, or pictures.
_CONTAINERS = (
  'mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,gif,asf,ivf,'
  'h264,hevc,m4v,mjpeg,yuv4mpegpipe,wav,mp3,aac,flac'
)
# Sound that an MP4 file can hold as it is.
_HELD = ('aac', 'ac3', 'alac', 'dts', 'eac3', 'flac', 'mp2', 'mp3', 'opus')
# Numbers that ITU-T H.273 gives: matrices of colour, and curves of HDR.
_UNKNOWN, _BT709, _BT470, _SMPTE170 = 2, 1, 5, 6
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_HDR = {16: 'HDR (PQ)', 18: 'HDR (HLG)'}
_FULL_RANGE = 2
# Smaller clips without a word on their matrix are taken as of television.
_HD_HEIGHT = 720
_STANDARD_RATE = fractions.Fraction(30)


class Clip(NamedTuple):
  """What is known of a video before its frames are read.

  Attributes:
    path: of the file.
    height: of a frame as it is shown, pixels.
    width: of a frame as it is shown, pixels.
    time_base: seconds of one unit of a frame's time.
    rate: frames per second, the mean.
    frames: how many there should be; 0 where the file does not say.
    turned: degrees that frames are turned counter-clockwise to be upright: 0,
      90, 180 or 270.
    matrix: of the colours, a number of ITU-T H.273.
    full_range: whether brightness takes all of 0 to 255.
    aspect: width of a pixel over its height.
    audio: the codec of each sound track.
  """

  path: str
  height: int
  width: int
  time_base: fractions.Fraction
  rate: fractions.Fraction
  frames: int
  turned: int
  matrix: int
  full_range: bool
  aspect: fractions.Fraction
  audio: tuple[str, ...]


class Frame(NamedTuple):
  """One picture of a clip.

  Attributes:
    image: sRGB, or sRGB and alpha.
    time: when it is shown first, in units of the clip's time base.
    duration: how long it is shown, in the same units; 0 where unknown.
  """

  image: UInt8[np.ndarray, 'h w c']
  time: int
  duration: int


def _pyav() -> Any:
  """Return PyAV, or say how to get it."""
  try:
    import av  # large, and needed for videos alone
  except ImportError as error:
    raise ValueError(
      "videos are read and written by PyAV; pip install 'maskjax[video]'"
    ) from error
  return av


def _is_picture(path: str | os.PathLike) -> bool:
  """Tell whether a file is a photo."""
  try:
    with Image.open(path):
      return True
  except Exception:  # broken pictures raise anything
    return False


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Any]:
  """Open a clip of this disk, which may name no other file."""
  av = _pyav()
  if not os.path.isfile(path):
    raise ValueError(f'{os.fspath(path)}: no such file; expected a video')
  options = {'format_whitelist': _CONTAINERS, 'protocol_whitelist': 'file'}
  try:
    container = av.open(f'file:{os.path.abspath(path)}', options=options)
  except (av.error.FFmpegError, ValueError, OSError) as error:
    name = os.fspath(path)
    if _is_picture(path):
      raise ValueError(
        f'{name}: a picture, where a video is expected; give it as an image'
      ) from error
    if os.path.getsize(path) == 0:
      raise ValueError(f'{name}: the file is empty') from error
    raise ValueError(
      f'{name}: not a video, or one that was cut off before its index'
    ) from error
  with container:
    yield container


def _stream(container: Any, path: str | os.PathLike) -> Any:
  """Return the moving pictures of a container."""
  av = _pyav()
  attached = av.stream.Disposition.attached_pic
  for stream in container.streams.video:
    if not stream.disposition & attached:
      return stream
  raise ValueError(f'{os.fspath(path)}: there is sound but no picture in it')


def _check(stream: Any, path: str | os.PathLike) -> None:
  """Refuse what cannot be shown as it was meant."""
  av, name, context = _pyav(), os.fspath(path), stream.codec_context
  if context is None or context.pix_fmt is None:
    raise ValueError(
      f'{name}: its pictures cannot be read, no decoder knows it'
    )
  curve = _HDR.get(int(context.color_trc or 0))
  bits = max(part.bits for part in av.VideoFormat(context.pix_fmt).components)
  if curve or bits > 8:
    kind = ', '.join(filter(None, [curve, f'{bits} bits a channel']))
    raise ValueError(
      f'{name}: {kind} ({context.pix_fmt}); convert it to 8 bits of SDR first, '
      'e.g. with ffmpeg -vf format=yuv420p'
    )
  width, height = context.width, context.height
  if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
    raise ValueError(
      f'{name}: frames of {width} x {height} pixels; expected at least '
      f'{MIN_SIDE} a side and at most {MAX_PIXELS / 1e6:.1f} million'
    )


def _matrix(frame: Any) -> int:
  """Return the matrix of a frame's colours; a likely one where none is said."""
  if int(frame.colorspace) in _MATRICES:
    return int(frame.colorspace)
  return _BT709 if frame.height >= _HD_HEIGHT else _SMPTE170


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
  """Decode frames until the end, or until what is left cannot be read."""
  av = _pyav()
  packets = container.demux(stream)
  while True:
    try:
      packet = next(packets)
    except (StopIteration, av.error.EOFError):
      return
    except av.error.FFmpegError:
      return
    try:
      yield from packet.decode()
    except av.error.EOFError:
      return
    except av.error.FFmpegError:
      continue  # one broken packet; the next may be whole


def probe(path: str | os.PathLike) -> Clip:
  """Look at a video: its size, its times, its sound.

  Args:
    path: of the file.

  Returns:
    What is known of it.

  Raises:
    ValueError: no file, no video, a picture, HDR or more than 8 bits, too
      large, or no frame that can be read; one line.
  """
  name = os.fspath(path)
  with _opened(path) as container:
    stream = _stream(container, path)
    _check(stream, path)
    first = next(_decoded(container, stream), None)
    if first is None:
      raise ValueError(f'{name}: no picture in it can be read')
    turned = round(first.rotation / 90) * 90 % 360
    sides = (first.height, first.width)
    rate = stream.average_rate or stream.guessed_rate or _STANDARD_RATE
    frames = stream.frames
    if not frames and container.duration:
      frames = round(container.duration / 1e6 * rate)
    return Clip(
      path=name,
      height=sides[turned % 180 == 90],
      width=sides[turned % 180 == 0],
      time_base=fractions.Fraction(stream.time_base),
      rate=fractions.Fraction(rate),
      frames=int(frames),
      turned=int(turned),
      matrix=_matrix(first),
      full_range=int(first.color_range) == _FULL_RANGE,
      aspect=fractions.Fraction(stream.sample_aspect_ratio or 1),
      audio=tuple(s.codec_context.name for s in container.streams.audio),
    )


def _image(frame: Any, clip: Clip) -> UInt8[np.ndarray, 'h w 3']:
  """Return a frame upright, in sRGB, of the clip's size."""
  sides = (clip.height, clip.width)
  if clip.turned % 180:
    sides = sides[::-1]
  converted = frame.reformat(
    width=sides[1],
    height=sides[0],
    format='rgb24',
    src_colorspace=_MATRICES[_matrix(frame)],
    interpolation='BILINEAR',
  )
  return np.ascontiguousarray(
    np.rot90(converted.to_ndarray(), clip.turned // 90)
  )


def read(clip: Clip) -> Iterator[Frame]:
  """Decode a clip, one frame at a time.

  What cannot be read is left out; a file that was cut off ends early, see
  `shortfall`.

  Args:
    clip: of `probe`.

  Yields:
    Frames whose times grow.
  """
  spacing = max(round(1 / (clip.rate * clip.time_base)), 1)
  last: int | None = None
  with _opened(clip.path) as container:
    stream = _stream(container, clip.path)
    stream.thread_type = 'AUTO'
    for frame in _decoded(container, stream):
      time = frame.pts
      if time is None:
        time = 0 if last is None else last + spacing
      elif last is not None and time <= last:
        time = last + 1
      last = time
      yield Frame(_image(frame, clip), time, int(frame.duration or 0))


def shortfall(clip: Clip, frames: int) -> str:
  """Say how much of a clip could not be read; '' where all was.

  Args:
    clip: of `probe`.
    frames: how many frames there were.
  """
  missing = clip.frames - frames
  # Containers that count in milliseconds are off by a frame or so.
  if missing <= max(1, clip.frames // 100):
    return ''
  return (
    f'{clip.path} ends early: {frames} of about {clip.frames} frames can be '
    'read'
  )


def left_out(clip: Clip) -> tuple[str, ...]:
  """Return the codecs of sound tracks that an MP4 file cannot hold."""
  return tuple(name for name in clip.audio if not _is_held(name))


def _is_held(codec: str) -> bool:
  return codec in _HELD or codec.startswith('pcm_')


def _sound_packets(source: Any, tracks: list[Any]) -> Iterator[Any]:
  """Yield packets of sound as they lie in a file, to its readable end."""
  av = _pyav()
  with contextlib.suppress(av.error.FFmpegError):
    for packet in source.demux(tracks):
      if packet.dts is not None:
        yield packet


def _copier(source: Any, output: Any) -> Callable[[float], None]:
  """Return what copies packets of sound up to a time in seconds.

  Few of them wait for the pictures, so memory stays flat.
  """
  tracks = {
    track.index: output.add_stream_from_template(track)
    for track in source.streams.audio
    if _is_held(track.codec_context.name)
  }
  inputs = [source.streams[index] for index in tracks]
  packets = _sound_packets(source, inputs) if inputs else iter(())
  waiting = next(packets, None)

  def copy(seconds: float) -> None:
    nonlocal waiting
    while waiting and waiting.dts * waiting.time_base <= seconds:
      waiting.stream = tracks[waiting.stream.index]
      output.mux(waiting)
      waiting = next(packets, None)

  return copy


def _mp4_stream(output: Any, clip: Clip, quality: int) -> Any:
  """Add H.264 to a container, in the colours and times of a clip."""
  even = clip.height % 2 == 0 and clip.width % 2 == 0
  stream = output.add_stream('libx264', rate=clip.rate)
  stream.width, stream.height = clip.width, clip.height
  # Players want 4:2:0, in which a side cannot be odd.
  stream.pix_fmt = 'yuv420p' if even else 'yuv444p'
  # Without frames that look ahead, no time is moved.
  stream.options = {'crf': str(quality), 'preset': 'veryfast', 'bf': '0'}
  context = stream.codec_context
  context.colorspace = clip.matrix
  context.color_range = _FULL_RANGE if clip.full_range else 1
  hd = clip.matrix == _BT709
  context.color_primaries = context.color_trc = _BT709 if hd else _SMPTE170
  if clip.turned % 180:
    context.sample_aspect_ratio = 1 / clip.aspect
  else:
    context.sample_aspect_ratio = clip.aspect
  return stream


def _webm_stream(output: Any, clip: Clip, quality: int) -> Any:
  """Add VP9 with an alpha channel to a container."""
  stream = output.add_stream('libvpx-vp9', rate=clip.rate)
  stream.width, stream.height = clip.width, clip.height
  stream.pix_fmt = 'yuva420p'
  stream.options = {
    'crf': str(quality + 10),
    'deadline': 'realtime',
    'cpu-used': '8',
    'auto-alt-ref': '0',
  }
  context = stream.codec_context
  context.bit_rate = 0
  context.colorspace, context.color_range = clip.matrix, 1
  return stream


def _encoded(av: Any, frame: Frame, stream: Any, clip: Clip) -> Any:
  """Return a frame in the colours that its stream is written in."""
  alpha = frame.image.shape[-1] == 4
  given = av.VideoFrame.from_ndarray(
    np.ascontiguousarray(frame.image), 'rgba' if alpha else 'rgb24'
  )
  full = clip.full_range and not alpha
  picture = given.reformat(
    format=stream.pix_fmt,
    dst_colorspace=_MATRICES[clip.matrix],
    dst_color_range=_FULL_RANGE if full else 1,
    interpolation='BILINEAR',
  )
  picture.pts, picture.time_base = frame.time, clip.time_base
  picture.duration = frame.duration
  return picture


@contextlib.contextmanager
def _destination(
  path: str | os.PathLike, options: Mapping[str, str]
) -> Iterator[tuple[Any, Any]]:
  """Yield PyAV and a container that becomes `path` when the block succeeds."""
  av = _pyav()
  with (
    files.replacing(path) as temporary,
    files.explained(path),
    av.open(str(temporary), 'w', options=dict(options)) as output,
  ):
    yield av, output


@contextlib.contextmanager
def writing(
  path: str | os.PathLike, clip: Clip, *, sound: bool = True, quality: int = 18
) -> Iterator[Callable[[Frame], None]]:
  """Write a video while the block lasts: whole, or not at all.

  Args:
    path: final path, which ends in .mp4 (H.264, with the clip's sound) or
      .webm (VP9 with alpha, without sound; its times are milliseconds).
    clip: whose size, times, colours and sound the video has.
    sound: whether to copy the packets of its sound tracks.
    quality: constant rate factor of H.264; 18 is hard to tell from the clip.

  Yields:
    `put(frame)`, to call with frames whose times grow.

  Raises:
    ValueError: PyAV is missing, or a path of another kind.
    OSError: the disk is full, or cannot be written to; one line.
  """
  suffix = os.path.splitext(path)[1].lower()
  if suffix not in ('.mp4', '.webm'):
    raise ValueError(f'{os.fspath(path)}: expected a name in .mp4 or .webm')
  webm = suffix == '.webm'
  flags = {} if webm else {'movflags': '+faststart'}
  with contextlib.ExitStack() as stack:
    av, output = stack.enter_context(_destination(path, flags))
    stream = (_webm_stream if webm else _mp4_stream)(output, clip, quality)
    stream.time_base = stream.codec_context.time_base = clip.time_base
    copy: Callable[[float], None] = lambda seconds: None
    if sound and not webm and clip.audio:
      copy = _copier(stack.enter_context(_opened(clip.path)), output)
    durations: dict[int, int] = {}

    def mux(packets: list[Any]) -> None:
      for packet in packets:
        packet.duration = durations.pop(packet.pts, packet.duration)
        output.mux(packet)

    def put(frame: Frame) -> None:
      copy(float(frame.time * clip.time_base))
      durations[frame.time] = frame.duration
      mux(stream.encode(_encoded(av, frame, stream, clip)))

    yield put
    mux(stream.encode(None))
    copy(math.inf)
