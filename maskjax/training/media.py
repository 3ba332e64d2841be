"""Pictures and videos on disk, whole or not at all."""

import os
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
    )
