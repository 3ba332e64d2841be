"""A mask in a photo: on a face, or in a box that is given.

Patent: paragraphs 0098 and 0102: the user image "may be another object or an
animal", a dog's head or a refrigerator. There no face is looked for.

Shapes: `h w` pixels.
"""

import dataclasses
import pathlib
import time
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np

from maskjax.face import photo
from maskjax.geometry import camera as camera_lib, color, mesh as mesh_lib
from maskjax.studio import pictures
from maskjax.training import files, media
from maskjax.wear import (
  binding,
  composite,
  lighting,
  masks,
  settings as settings_lib,
  smoothing,
)

# Pixels of an image that is worn at most, a side.
_MAX_SIDE = 4096


def _placed_camera(
  image: UInt8[np.ndarray, 'h w 3'],
  mask: mesh_lib.Mesh,
  settings: settings_lib.WearSettings,
) -> camera_lib.Camera:
  """Return the camera that sees a mask in a box, turned as it is told."""
  height, width, _ = image.shape
  left, top, right, bottom = settings.place.box
  if right <= 0 or bottom <= 0 or left >= width or top >= height:
    raise ValueError(
      f'place.box is {settings.place.box}, outside of the picture of '
      f'{width} x {height} pixels'
    )
  fovy = settings.track.fovy or photo.FOVY_DEGREES
  focal = 0.5 * height / np.tan(np.radians(fovy) / 2)
  low = np.asarray(mask.vertices).min(0)
  high = np.asarray(mask.vertices).max(0)
  size = (high - low)[:2] * settings.mask.scale
  # As large as fits into the box from in front.
  distance = focal * float(max(size[0] / (right - left),
                               size[1] / (bottom - top)))  # fmt: skip
  yaw, pitch, roll = np.radians(settings.place.pose)
  turn = smoothing.exp_rotation(np.array([0.0, 0.0, -roll]))
  turn = turn @ smoothing.exp_rotation(np.array([-pitch, 0.0, 0.0]))
  turn = turn @ smoothing.exp_rotation(np.array([0.0, yaw, 0.0]))
  rotation = np.diag([1.0, -1.0, -1.0]) @ turn
  middle = (low + high) / 2 * settings.mask.scale
  seen = np.array([left + right - width, top + bottom - height]) / 2 / focal
  place = np.append(seen, 1.0) * (distance + middle[2]) - rotation @ middle
  matrix = np.eye(4)
  matrix[:3, :3], matrix[:3, 3] = rotation, place
  world2cam = jnp.asarray(matrix, jnp.float32)
  square = camera_lib.intrinsics_from_fov(fovy)
  intrinsics = square.at[0, 0].multiply(height / width)
  return camera_lib.Camera(camera_lib.invert_pose(world2cam), intrinsics)


def _in_box(
  image: UInt8[np.ndarray, 'h w 3'],
  mask: mesh_lib.Mesh,
  settings: settings_lib.WearSettings,
) -> tuple[masks.Prepared, camera_lib.Camera, Float[Array, '9 3']]:
  """Place a mask in a box: no face is looked for, nothing is hidden."""
  camera = _placed_camera(image, mask, settings)
  left, top, right, bottom = (max(int(x), 0) for x in settings.place.box)
  inside = image[top : max(bottom, top + 1), left : max(right, left + 1)]
  level = np.asarray(color.srgb_to_linear(inside / np.float32(255))).mean()
  # A photo's mean is at 0.2 or so of its white.
  light = lighting.even(float(np.clip(level / 0.25, 0.3, 1.0)) * 0.9)
  own = settings.mask
  vertices = mask.vertices * own.scale + jnp.asarray(own.shift)[None]
  surface = composite.join(dataclasses.replace(mask, vertices=vertices), None)
  bound = binding.Binding(
    np.zeros((len(vertices), 3), np.int32),
    np.zeros((len(vertices), 3), np.float32),
  )
  return masks.Prepared(surface, bound), camera, jnp.asarray(light, jnp.float32)


def wear(
  image: Float[np.ndarray, 'h w 3'],
  mask: mesh_lib.Mesh,
  settings: settings_lib.WearSettings,
  *,
  name: str = 'the photo',
) -> tuple[UInt8[np.ndarray, 'h w 3'], UInt8[np.ndarray, 'h w 4']]:
  """Put a mask on the face of a photo, or where its box is.

  Args:
    image: sRGB in [0, 1].
    mask: of `masks.load`.
    settings: all settings of wearing.
    name: what to call the photo.

  Returns:
    The photo with the mask on, and the mask alone with alpha; sRGB.

  Raises:
    ValueError: no face is found and no box is given; one line.
  """
  pixels = color.to_bytes(image)
  look = (
    composite.look_of(pixels) if settings.light.matched else composite.SHARP
  )
  if settings.place.box:
    prepared, camera, light = _in_box(pixels, mask, settings)
    surface = prepared.surface
  else:
    fovy = settings.track.fovy or photo.FOVY_DEGREES
    try:
      face = photo.look(image, name=name, fovy=fovy)
    except ValueError as error:
      if 'no face' not in str(error):
        raise
      raise ValueError(
        f'{error}; or say where a head is, with --config.place.box='
        '"(left,top,right,bottom)"'
      ) from error
    shape = np.asarray(face.head.points)
    surface = masks.prepare(mask, shape, settings.mask).surface
    camera = face.head.camera
    light = lighting.on_mask(
      np.asarray(face.light.harmonics) if settings.light.estimated else None,
      tint=settings.light.tint,
    )
  return composite.wear(
    pixels, surface, camera, light, look, opacity=settings.mask.opacity
  )


def run(
  path: str,
  mask: mesh_lib.Mesh,
  settings: settings_lib.WearSettings,
  workdir: str | pathlib.Path,
) -> dict[str, Any]:
  """Put a mask on a photo; leave worn.png, mask_only.png and report.json.

  Args:
    path: of the photo.
    mask: of `masks.load`.
    settings: all settings of wearing.
    workdir: folder of the results.

  Returns:
    The report.
  """
  began = time.monotonic()
  image = pictures.read(path, max_side=_MAX_SIDE)
  photo.check(image, path)
  worn, alone = wear(image, mask, settings, name=path)
  folder = pathlib.Path(workdir)
  media.save_png(folder / 'worn.png', worn)
  media.save_png(folder / 'mask_only.png', alone)
  report = {
    'image': path,
    'size': [worn.shape[1], worn.shape[0]],
    'covered': round(float(np.mean(alone[..., 3] / 255)), 4),
    'seconds': round(time.monotonic() - began, 1),
  }
  files.write_json(folder / 'report.json', report)
  return report
