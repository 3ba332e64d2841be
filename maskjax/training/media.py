"""Pictures and videos on disk, whole or not at all."""

import os
import pathlib
import struct
import warnings

import imageio.v3 as iio
from jaxtyping import UInt8
import numpy as np
from PIL import Image

from maskjax.training import files


def save_png(
  path: str | os.PathLike, image: UInt8[np.ndarray, 'h w *c']
) -> None:
  """Write a PNG, whole or not at all.

  Args:
    path: final path; missing parent folders are made.
    image: grey, RGB or RGBA.
  """
  with files.replacing(path) as temporary:
    Image.fromarray(image).save(temporary, format='PNG')


def _is_whole(path: pathlib.Path) -> bool:
  """Tell whether an MP4 file ends with its last box, and has an index."""
  kinds, start, size = set(), 0, path.stat().st_size
  with path.open('rb') as file:
    while start + 8 <= size:
      file.seek(start)
      length, kind = struct.unpack('>I4s', file.read(8))
      if length == 1 and start + 16 <= size:
        (length,) = struct.unpack('>Q', file.read(8))
      if length < 8:
        return False
      kinds.add(kind)
      start += length
  return start == size and {b'moov', b'mdat'} <= kinds


def save_video(
  path: str | os.PathLike,
  frames: UInt8[np.ndarray, 'n h w 3'],
  *,
  frames_per_second: int,
) -> None:
  """Write an H.264 video, whole or not at all.

  Args:
    path: final path, which ends in .mp4.
    frames: pictures whose sides are multiples of 8; others are scaled to one.
    frames_per_second: speed of the video.

  Raises:
    OSError: the disk is full, or cannot be written to; one line.
  """
  with files.replacing(path) as temporary, warnings.catch_warnings():
    # ffmpeg is started as a process; jax warns of forks that go on in Python.
    warnings.filterwarnings('ignore', 'os.fork', RuntimeWarning)
    iio.imwrite(
      temporary,
      frames,
      plugin='FFMPEG',
      fps=frames_per_second,
      codec='libx264',
      quality=8,
      macro_block_size=8,
      ffmpeg_log_level='quiet',
    )
    # ffmpeg's own word for a full disk does not come back.
    if not temporary.is_file() or not _is_whole(temporary):
      raise OSError(
        f'cannot write {os.fspath(path)}: the video is not whole; is the disk '
        'full?'
      )
