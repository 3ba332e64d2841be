"""Pictures of a mask: a contact sheet and a turntable.

Everything is rendered sharply by the same rasterizer that the loop uses, and
composited on a soft grey; all pictures are sRGB bytes.

Shapes: `n` pictures, `s` pixels a side.
"""

import os
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np

from maskjax.geometry import color, mesh as mesh_lib
from maskjax.mask import views
from maskjax.render import lights as lights_lib, renderer, textures
from maskjax.studio import sheets, views as studio_views
from maskjax.training import media

# The five angles of the contact sheet, and the swing of the turntable: a
# mask has no back.
AZIMUTHS = (-70.0, -35.0, 0.0, 35.0, 70.0)
_SWING = 70.0
_BACKGROUND = (0.86, 0.87, 0.89)
_CLAY = (0.62, 0.6, 0.57)
_SUPERSAMPLING = 2
_FRAMES_PER_SECOND = 24


def _shade(vertices, faces, colors, cameras, lights, size, uvs, image, seams):
  """Render, average down, and return sRGB in [0, 1]."""
  # Charts of a uv map may not be blended, as the soft mode would.
  options: dict[str, Any] = {'sigma': 2e-6, 'gamma': 1e-5}
  if image is not None:
    painted = textures.from_image(image, uvs, seams=seams)
    options = {'mode': 'hard', 'shading': 'lambert', 'texture': painted}
  image = renderer.render(
    vertices,
    faces,
    colors,
    cameras,
    lights,
    size=size * _SUPERSAMPLING,
    background=_BACKGROUND,
    **options,
  ).rgb
  count, step = image.shape[0], _SUPERSAMPLING
  image = image.reshape(count, size, step, size, step, 3).mean((2, 4))
  return color.linear_to_srgb(jnp.clip(image, 0.0, 1.0))


_shade_jit = jax.jit(_shade, static_argnames=('size',))


def _key_light(count: int) -> lights_lib.Lights:
  """Soft light from above left, for showing shape."""
  light = lights_lib.directional(
    (-0.35, 0.6, 0.75), color=(0.75, 0.75, 0.75), ambient=(0.4, 0.41, 0.43)
  )
  return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), light)


def _distance(mesh: mesh_lib.Mesh) -> float:
  """Return how far off the camera sees a whole mask, 1 where 40 cm do."""
  target = np.array(studio_views.TARGET_CM)
  reach = np.linalg.norm(np.asarray(mesh.vertices) - target, axis=-1).max()
  seen = studio_views.RADIUS_CM * np.sin(
    np.deg2rad(studio_views.FOVY_DEGREES / 2)
  )
  return max(1.0, float(1.02 * reach / seen))


def photograph(
  mesh: mesh_lib.Mesh,
  azimuths: tuple[float, ...],
  *,
  size: int,
  textured: bool = True,
) -> UInt8[np.ndarray, 'n s s 3']:
  """Take pictures of a mask, from as far off as shows all of it.

  Args:
    mesh: in cm, with a texture or vertex colours unless `textured` is False.
    azimuths: degrees, positive to the viewer's right.
    size: pixels on a side of a picture.
    textured: its own colours, or plain clay.
  """
  colors = mesh.colors
  image = mesh.texture if textured else None
  if colors is None or not textured:
    colors = jnp.broadcast_to(jnp.array(_CLAY), mesh.vertices.shape)
  # A mesh that is cut into charts has its normals across the cuts.
  same = mesh_lib.same_places(mesh.vertices)
  faces = jnp.asarray(same[np.asarray(mesh.faces)], jnp.int32)
  seams = textures.Seams(jnp.asarray(same, jnp.int32), mesh.faces)
  distance = _distance(mesh)
  pictures = []
  for azimuth in azimuths:
    cameras, _ = views.fixed((azimuth,), elevation=4.0, scale=distance)
    pictures.append(
      _shade_jit(
        mesh.vertices,
        mesh.faces if mesh.uvs is None else faces,
        colors,
        cameras,
        _key_light(1),
        size=size,
        uvs=mesh.uvs,
        image=image,
        seams=seams,
      )[0]
    )
  return color.to_bytes(np.asarray(jnp.stack(pictures)))


def mask_sheet(
  prompt: str,
  start: mesh_lib.Mesh,
  first: Float[Array, 's s 3'] | None,
  result: mesh_lib.Mesh,
  *,
  size: int,
) -> UInt8[np.ndarray, 'h w 3']:
  """Return the preview of a run: start, first image, result.

  Args:
    prompt: the user's words for the mask.
    start: the painted start shape.
    first: the first image in sRGB [0, 1].
    result: the finished mask, cm.
    size: pixels on a side of a picture.
  """
  begun = [
    ('start shape', photograph(start, (35.0,), size=size, textured=False)[0])
  ]
  if first is not None:
    begun.append(('first image', color.to_bytes(np.asarray(first))))
  begun += [
    (f'painted, {azimuth:+.0f}°', picture)
    for azimuth, picture in zip(
      (-35.0, 0.0, 35.0),
      photograph(start, (-35.0, 0.0, 35.0), size=size),
    )
  ]
  angles = [f'{azimuth:+.0f}°' for azimuth in AZIMUTHS]
  colored = photograph(result, AZIMUTHS, size=size)
  plain = photograph(result, AZIMUTHS, size=size, textured=False)
  return sheets.titled(
    prompt,
    [
      ('Start', begun),
      ('Result', list(zip(angles, colored))),
      ('Result without texture', list(zip(angles, plain))),
    ],
    size=size,
  )


def save_turntable(
  path: str | os.PathLike, mesh: mesh_lib.Mesh, *, frames: int, size: int
) -> None:
  """Write a video in which the mask swings from side to side and back.

  Args:
    path: path of the video, ending in .mp4.
    mesh: the finished mask, cm.
    frames: length of the loop, at 24 frames a second.
    size: pixels a side; rounded up to a multiple of 16.
  """
  size = -(-size // 16) * 16
  phases = np.arange(frames) / frames
  azimuths = tuple(float(_SWING * np.sin(2 * np.pi * p)) for p in phases)
  pictures = photograph(mesh, azimuths, size=size)
  media.save_video(path, pictures, frames_per_second=_FRAMES_PER_SECOND)
