"""Clips in and out: times, sides, sound and colours are those of the file.

The clips are made by ffmpeg itself, which is its own reference.
"""

import functools
import os
import subprocess

import av
import imageio_ffmpeg
import numpy as np
from PIL import Image
import pytest

from maskjax.wear import video

# Moving colours with a counter, 24 frames; and two notes.
_PICTURES = (
  '-f',
  'lavfi',
  '-i',
  'testsrc=size={}:rate=30000/1001:duration=0.8',
)
_SOUND = ('-f', 'lavfi', '-i', 'sine=440:duration=0.8')
_KINDS = {
  'plain.mp4': ('64x48', ('-c:a', 'aac')),
  'odd.mp4': ('65x47', ('-pix_fmt', 'yuv444p', '-c:a', 'aac')),
  'vp9.webm': ('64x48', ('-c:v', 'libvpx-vp9', '-c:a', 'libopus')),
  'old.avi': ('64x48', ('-c:v', 'mpeg4', '-c:a', 'pcm_s16le')),
  'long.mkv': ('64x48', ('-c:a', 'aac')),
  'silent.mp4': ('64x48', ('-an',)),
  'ten.mp4': ('64x48', ('-c:v', 'libx265', '-pix_fmt', 'yuv420p10le')),
  'sound.m4a': ('64x48', ('-vn', '-c:a', 'aac')),
}


def _ffmpeg(*words):
  command = [imageio_ffmpeg.get_ffmpeg_exe(), '-loglevel', 'error', '-y']
  return subprocess.run([*command, *words], check=True, capture_output=True)


@pytest.fixture(scope='session')
def clip_file(tmp_path_factory):
  """Return what makes a clip of `_KINDS`, or of other words, once."""
  folder = tmp_path_factory.mktemp('clips')

  @functools.cache
  def make(name):
    size, words = _KINDS[name]
    pictures = [w.format(size) for w in _PICTURES]
    sound = (*_SOUND, *_SOUND)
    tracks = ('-map', '0', '-map', '1', '-map', '2')
    path = str(folder / name)
    _ffmpeg(*pictures, *sound, *tracks, '-pix_fmt', 'yuv420p', *words, path)
    return path

  return make


def _packets(path):
  """Return time and bytes of every packet of each sound track."""
  tracks = {}
  with av.open(path) as container:
    if container.streams.audio:
      for packet in container.demux(container.streams.audio):
        if packet.size:
          row = (float(packet.pts * packet.time_base), bytes(packet))
          tracks.setdefault(packet.stream.index, []).append(row)
  return list(tracks.values())


def _copy(path, out):
  """Write a clip as it is read; return its frames."""
  clip = video.probe(path)
  frames = []
  with video.writing(out, clip) as put:
    for frame in video.read(clip):
      frames.append(frame)
      put(frame)
  return clip, frames


def _seconds(clip, frames):
  return [frame.time * clip.time_base for frame in frames]


@pytest.mark.parametrize('name', [n for n in _KINDS if n[:2] not in 'tenso'])
def test_size_times_and_sound_leave_as_they_came(tmp_path, clip_file, name):
  source, out = clip_file(name), str(tmp_path / 'out.mp4')
  clip, frames = _copy(source, out)
  again = video.probe(out)
  back = list(video.read(again))
  assert len(back) == len(frames) == 24 == again.frames
  assert _seconds(again, back) == _seconds(clip, frames)
  assert (again.height, again.width) == (clip.height, clip.width)
  assert again.aspect == clip.aspect
  for a, b in zip(_packets(source), _packets(out), strict=True):
    assert [data for _, data in a] == [data for _, data in b]
    # MP4 counts samples of sound, Matroska milliseconds.
    np.testing.assert_allclose(
      [t for t, _ in a], [t for t, _ in b], atol=5.1e-4
    )
  assert len(_packets(out)) == (0 if name == 'silent.mp4' else 2)
  assert list(tmp_path.iterdir()) == [tmp_path / 'out.mp4']


def test_uneven_times_are_kept(tmp_path, clip_file):
  path = str(tmp_path / 'vfr.mp4')
  which = "select='not(mod(n,3))+not(mod(n,5))'"
  words = ('-vf', which, '-fps_mode', 'vfr', '-c:a', 'copy', path)
  _ffmpeg('-i', clip_file('plain.mp4'), *words)
  clip, frames = _copy(path, str(tmp_path / 'out.mp4'))
  times = _seconds(clip, frames)
  assert len(set(np.diff(times).tolist())) > 1
  again = video.probe(str(tmp_path / 'out.mp4'))
  assert _seconds(again, video.read(again)) == times
  assert _packets(path) == _packets(str(tmp_path / 'out.mp4'))


@pytest.mark.parametrize('degrees', [90, 180, 270])
def test_a_turned_clip_comes_upright(tmp_path, clip_file, degrees):
  path = str(tmp_path / 'turned.mp4')
  _ffmpeg(
    *('-display_rotation', str(degrees), '-i', clip_file('silent.mp4')),
    *('-c', 'copy', path),
  )
  clip = video.probe(path)
  # ffmpeg turns by itself.
  raw = ('-f', 'rawvideo', '-pix_fmt', 'rgb24', '-frames:v', '1', '-')
  upright = _ffmpeg('-i', path, *raw).stdout
  upright = np.frombuffer(upright, np.uint8)
  wanted = upright.reshape(clip.height, clip.width, 3)
  np.testing.assert_array_equal(next(video.read(clip)).image, wanted)
  assert (clip.height, clip.width) == ((48, 64), (64, 48))[degrees % 180 > 0]
  _copy(path, str(tmp_path / 'out.mp4'))
  assert video.probe(str(tmp_path / 'out.mp4')).turned == 0


@pytest.mark.parametrize(
  ('matrix', 'full', 'weights'),
  [
    (1, False, (0.2126, 0.0722)),
    (6, False, (0.299, 0.114)),
    (6, True, (0.299, 0.114)),
  ],
)
def test_colours_are_written_by_their_matrix(
  tmp_path, clip_file, matrix, full, weights
):
  """The three planes are those of ITU-R BT.601 and BT.709."""
  clip = video.probe(clip_file('silent.mp4'))
  clip = clip._replace(matrix=matrix, full_range=full)
  rgb = np.array([200, 60, 30])
  image = np.broadcast_to(rgb.astype(np.uint8), (clip.height, clip.width, 3))
  path = str(tmp_path / 'out.mp4')
  with video.writing(path, clip) as put:
    put(video.Frame(np.ascontiguousarray(image), 0, 1001))
  red, blue = weights
  r, g, b = rgb / 255
  luma = red * r + (1 - red - blue) * g + blue * b
  chroma = np.array([(b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)])
  wanted = [255 * luma, *(128 + 255 * chroma)]
  if not full:
    wanted = [16 + 219 * luma, *(128 + 224 * chroma)]
  with av.open(path) as container:
    planes = next(container.decode(video=0)).planes
    written = [bytes(plane)[0] for plane in planes]
  np.testing.assert_allclose(written, wanted, atol=1)
  back = next(video.read(video.probe(path))).image
  np.testing.assert_allclose(back[20, 20], rgb, atol=3)


def test_a_mask_alone_keeps_its_alpha(tmp_path, clip_file):
  clip = video.probe(clip_file('plain.mp4'))
  image = np.zeros((clip.height, clip.width, 4), np.uint8)
  image[10:40, 20:50] = (200, 40, 90, 255)
  path = str(tmp_path / 'out.webm')
  with video.writing(path, clip) as put:
    for frame in video.read(clip):
      put(frame._replace(image=image))
  words = ('-f', 'rawvideo', '-pix_fmt', 'rgba', '-frames:v', '1', '-')
  raw = _ffmpeg('-c:v', 'libvpx-vp9', '-i', path, *words).stdout
  back = np.frombuffer(raw, np.uint8).reshape(image.shape)
  np.testing.assert_allclose(back[25, 35], (200, 40, 90, 255), atol=4)
  assert back[2, 2, 3] == 0
  assert _packets(path) == []


def test_what_is_left_of_a_cut_file_is_read(tmp_path, clip_file):
  with open(clip_file('long.mkv'), 'rb') as file:
    data = file.read()
  path = tmp_path / 'cut.mkv'
  path.write_bytes(data[: len(data) // 2])
  clip, frames = _copy(str(path), str(tmp_path / 'out.mp4'))
  assert 2 < len(frames) < 24
  words = video.shortfall(clip, len(frames))
  # Matroska tells its length alone, and sound ends a little later.
  assert f'{len(frames)} of about 2' in words and '\n' not in words
  again = video.probe(str(tmp_path / 'out.mp4'))
  assert len(list(video.read(again))) == len(frames)
  whole = video.probe(clip_file('long.mkv'))
  assert video.shortfall(whole, 24) == ''


def _bad(folder, kind, clip_file):
  """Return the path of something that is no clip."""
  path = folder / f'{kind}.mp4'
  if kind == 'cut':
    with open(clip_file('plain.mp4'), 'rb') as file:
      path.write_bytes(file.read()[:3000])
  if kind == 'text':
    path.write_text('hello')
  if kind == 'empty':
    path.touch()
  if kind == 'picture':
    Image.new('RGB', (64, 64)).save(path, format='JPEG')
  if kind == 'list':
    path.write_text(f'ffconcat version 1.0\nfile {clip_file("plain.mp4")}\n')
  if kind == 'playlist':
    path = folder / 'list.m3u8'
    path.write_text(f'#EXTM3U\n#EXTINF:9,\n{clip_file("plain.mp4")}\n')
  if kind in ('ten.mp4', 'sound.m4a'):
    return clip_file(kind)
  if kind == 'folder':
    return str(folder)
  return str(path)


@pytest.mark.parametrize(
  ('kind', 'words'),
  [
    ('missing', 'no such file'),
    ('folder', 'no such file'),
    ('text', 'not a video'),
    ('empty', 'the file is empty'),
    ('cut', 'cut off before its index'),
    ('picture', 'a picture, where a video is expected'),
    ('list', 'not a video'),
    ('playlist', 'not a video'),
    ('ten.mp4', r'10 bits a channel \(yuv420p10le\)'),
    ('sound.m4a', 'there is sound but no picture'),
  ],
)
def test_what_is_no_clip_is_told_in_one_line(tmp_path, clip_file, kind, words):
  with pytest.raises(ValueError, match=words) as caught:
    video.probe(_bad(tmp_path, kind, clip_file))
  assert '\n' not in str(caught.value)


def test_other_names_than_mp4_and_webm_are_refused(tmp_path, clip_file):
  clip = video.probe(clip_file('silent.mp4'))
  with (
    pytest.raises(ValueError, match=r'expected a name in \.mp4 or \.webm'),
    video.writing(tmp_path / 'out.gif', clip),
  ):
    pass


def test_a_failure_leaves_the_earlier_video(tmp_path, clip_file):
  clip = video.probe(clip_file('plain.mp4'))
  path = tmp_path / 'out.mp4'
  path.write_bytes(b'earlier')

  def fail():
    with video.writing(path, clip) as put:
      put(next(video.read(clip)))
      raise RuntimeError('stop')

  with pytest.raises(RuntimeError, match='stop'):
    fail()
  assert path.read_bytes() == b'earlier'
  assert os.listdir(tmp_path) == ['out.mp4']


def test_a_full_disk_is_told_in_one_line(tmp_path, clip_file, full_disk):
  clip = video.probe(clip_file('silent.mp4'))
  noise = np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), np.uint8)

  def write():
    with video.writing(tmp_path / 'out.mp4', clip, quality=0) as put:
      for index, image in enumerate(np.tile(noise, (4, 1, 1, 1))):
        put(video.Frame(image, 1001 * index, 1001))

  with pytest.raises(OSError, match=r'cannot write .*out\.mp4') as caught:
    write()
  assert '\n' not in str(caught.value)
  assert os.listdir(tmp_path) == []


def test_without_pyav_one_line_says_what_to_install(monkeypatch, clip_file):
  path = clip_file('silent.mp4')
  monkeypatch.setitem(__import__('sys').modules, 'av', None)
  with pytest.raises(ValueError, match=r"pip install 'maskjax\[video\]'"):
    video.probe(path)
