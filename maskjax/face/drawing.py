"""Pictures of what was found in a photo: landmarks, pose axes, light.

All pictures are sRGB bytes.

Shapes: `h w` pixels, `s` pixels a side.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from maskjax.face import light, photo, pose
from maskjax.geometry import (
  camera as camera_lib,
  canonical,
  color,
  mesh as mesh_lib,
)
from maskjax.render import lights as lights_lib, renderer
from maskjax.studio import sheets

PANEL = 480  # pixels a side
_FINE = 2  # drawn larger, then averaged down
_MARGIN = 0.55  # around the face, in its own size
_ROW = sheets.Layout(
  gap=12, heading=0, caption=28, letters=16, drop=18, centred=True
)
_MESH = (255, 255, 255, 70)
_LINES = {  # loops of canonical vertices, and their colours
  'left eye': (canonical.LEFT_EYE, (64, 196, 255, 255)),
  'right eye': (canonical.RIGHT_EYE, (64, 196, 255, 255)),
  'lips': (canonical.INNER_LIPS, (255, 110, 130, 255)),
}
_AXES = ((226, 62, 62), (60, 168, 76), (56, 108, 232))  # x, y, z
_AXIS_CM = 7.0
# Left, top and side of a square of a photo, pixels.
_Window = tuple[float, float, float]


def _window(points: Float[Array, '468 3'], height: int, width: int) -> _Window:
  """Return left, top and side in pixels of the square around a face."""
  flat = np.asarray(points)[:, :2] * [width, height]
  low, high = flat.min(0), flat.max(0)
  side = (1 + 2 * _MARGIN) * float((high - low).max())
  left, top = 0.5 * (low + high) - 0.5 * side
  return float(left), float(top), side


def _cut(
  image: Float[np.ndarray, 'h w 3'], window: _Window, size: int
) -> Image.Image:
  """Cut a window out of a photo; grey where it reaches beyond."""
  left, top, side = window
  whole = Image.fromarray(color.to_bytes(np.asarray(image)))
  return whole.transform(
    (size, size),
    Image.Transform.AFFINE,
    (side / size, 0, left, 0, side / size, top),
    Image.Resampling.BICUBIC,
    fillcolor=(120, 122, 126),
  )


def _place(
  points: Float[Array, 'n _'],
  image: Float[np.ndarray, 'h w 3'],
  window: _Window,
  size: int,
) -> Float[np.ndarray, 'n 2']:
  """Move image coordinates to pixels of a window's picture."""
  height, width, _ = image.shape
  left, top, side = window
  flat = np.asarray(points)[:, :2] * [width, height]
  return (flat - [left, top]) * (size / side)


def _font(size: int) -> Any:
  """Return the font of captions."""
  return ImageFont.load_default(size=size)


def _draw_mesh(
  panel: Image.Image, places: Float[np.ndarray, '468 2']
) -> Image.Image:
  """Draw all edges faintly, eyes and lips in colour, and the points."""
  layer = Image.new('RGBA', panel.size)
  pen = ImageDraw.Draw(layer)
  for a, b in np.asarray(mesh_lib.edges(canonical.load().faces)):
    pen.line([*places[a], *places[b]], fill=_MESH, width=_FINE)
  for x, y in places:
    pen.ellipse([x - 2, y - 2, x + 2, y + 2], fill=(255, 255, 255, 220))
  for loop, tint in _LINES.values():
    line = [tuple(places[k]) for k in (*loop, loop[0])]
    pen.line(line, fill=tint, width=2 * _FINE, joint='curve')
  return Image.alpha_composite(panel.convert('RGBA'), layer).convert('RGB')


def _draw_axes(
  panel: Image.Image,
  image: Float[np.ndarray, 'h w 3'],
  head: pose.HeadPose,
  window: _Window,
) -> Image.Image:
  """Draw the head's axes at the bridge of the nose, nearest last."""
  origin = np.asarray(canonical.load().vertices[168])
  ends = origin + _AXIS_CM * np.eye(3)
  tips = jnp.asarray(np.concatenate([origin[None], ends]))
  seen, depths = camera_lib.project(head.camera, tips)
  places = _place(seen, image, window, panel.width)
  pen = ImageDraw.Draw(panel)
  for axis in np.argsort(-np.asarray(depths)[1:]):
    start, end, tint = places[0], places[axis + 1], _AXES[axis]
    pen.line([*start, *end], fill='white', width=9 * _FINE)
    pen.line([*start, *end], fill=tint, width=5 * _FINE)
    x, y = end
    pen.ellipse([x - 14, y - 14, x + 14, y + 14], fill=tint, outline='white')
    pen.text((x, y), 'xyz'[axis], 'white', _font(22), anchor='mm')
  return panel


def _row(
  panels: list[Image.Image], captions: list[str]
) -> UInt8[np.ndarray, 'h w 3']:
  """Set panels side by side, each over its caption."""
  cells = list(zip(captions, map(np.asarray, panels)))
  return sheets.titled('', [('', cells)], size=PANEL, look=_ROW)


def landmark_sheet(
  image: Float[np.ndarray, 'h w 3'], face: photo.Face
) -> UInt8[np.ndarray, 'h w 3']:
  """Draw the points of a face over the photo, and its pose as three axes.

  Args:
    image: sRGB in [0, 1].
    face: what `photo.look` found on it.
  """
  window = _window(face.points, *image.shape[:2])
  size = _FINE * PANEL
  places = _place(face.points, image, window, size)
  mesh = _draw_mesh(_cut(image, window, size), places)
  axes = _draw_axes(_cut(image, window, size), image, face.head, window)
  yaw, pitch, roll = (float(a) for a in pose.angles(face.head.camera))
  far = float(jnp.linalg.norm(face.head.camera.cam2world[:3, 3]))
  return _row(
    [mesh, axes],
    [
      f'468 landmarks, score {float(face.score):.2f}',
      f'yaw {yaw:+.0f}°  pitch {pitch:+.0f}°  roll {roll:+.0f}°  '
      f'at {far:.0f} cm',
    ],
  )


def _expose(
  linear: Float[Array | np.ndarray, 'h w 3'],
) -> UInt8[np.ndarray, 'h w 3']:
  """Return sRGB bytes of linear RGB, scaled so that little burns out."""
  linear = np.asarray(linear)
  level = max(float(np.percentile(linear.max(-1), 98)), 1e-6)
  values = color.linear_to_srgb(jnp.clip(linear / level, 0.0, 1.0))
  return color.to_bytes(np.asarray(values))


def _ball(
  lights: lights_lib.Lights, camera: camera_lib.Camera, size: int
) -> Image.Image:
  """Draw a white matt ball under the light, as the photo's camera sees it."""
  axis = np.linspace(-1.1, 1.1, size)
  x, y = np.meshgrid(axis, -axis)
  z = np.sqrt(np.maximum(1 - x * x - y * y, 0.0))
  normals = np.stack([x, y, z], -1).reshape(-1, 3)
  # x right, y up, z to the viewer; the camera has y down and z away.
  turned = (normals * [1.0, -1.0, -1.0]) @ np.asarray(
    camera.cam2world[:3, :3]
  ).T
  turned = jnp.asarray(turned, jnp.float32)
  shade = lights_lib.irradiance(lights, 0.0 * turned, turned)
  inside = (x * x + y * y <= 1)[..., None]
  linear = np.asarray(shade).reshape(size, size, 3)
  ball = _expose(np.where(inside, linear, 0.0))
  return Image.fromarray(np.where(inside, ball, 232).astype(np.uint8))


def _arrow(
  panel: Image.Image, direction: Float[np.ndarray, '3']
) -> Image.Image:
  """Draw where the light comes from, onto a ball (the viewer's frame)."""
  pen = ImageDraw.Draw(panel)
  middle, reach = panel.width / 2, panel.width / 2.2
  x, y, z = (float(c) for c in direction)
  near = np.array([middle + x * reach, middle - y * reach])
  if z < 0:  # behind the ball: on its outline
    off = near - middle
    near = middle + off * reach / max(float(np.linalg.norm(off)), 1e-6)
  px, py = near
  for radius, tint in ((22, 'white'), (17, (255, 176, 0))):
    pen.ellipse([px - radius, py - radius, px + radius, py + radius], fill=tint)
  return panel


def _relit(
  image: Float[np.ndarray, 'h w 3'],
  face: photo.Face,
  lights: lights_lib.Lights,
  window: _Window,
  size: int,
) -> Image.Image:
  """Draw the person's landmarks as a surface of even skin under the light."""
  height, width, _ = image.shape
  left, top, side = window
  scale = jnp.array([width / side, height / side, 1.0])
  intrinsics = face.head.camera.intrinsics * scale[:, None]
  intrinsics = intrinsics.at[0, 2].add(-left / side)
  intrinsics = intrinsics.at[1, 2].add(-top / side)
  camera = dataclasses.replace(face.head.camera, intrinsics=intrinsics)
  rendering = jax.jit(renderer.render, static_argnames=('size', 'mode'))(
    face.head.points,
    jnp.asarray(canonical.load().faces),
    jnp.broadcast_to(jnp.asarray(light.SKIN), face.head.points.shape),
    jax.tree.map(lambda x: x[None], camera),
    lights,
    size=size,
    mode='hard',
  )
  lit = _expose(rendering.rgb[0]) / 255.0
  alpha = np.asarray(rendering.alpha[0])
  mixed = lit * alpha + (1 - alpha) * 232 / 255
  return Image.fromarray(color.to_bytes(mixed))


def light_sheet(
  image: Float[np.ndarray, 'h w 3'], face: photo.Face
) -> UInt8[np.ndarray, 'h w 3']:
  """Draw the light on a face: on a ball, and on the face's own surface.

  Args:
    image: sRGB in [0, 1].
    face: what `photo.look` found on it.
  """
  window = _window(face.points, *image.shape[:2])
  size = _FINE * PANEL
  camera = face.head.camera
  seen = camera.cam2world[:3, :3].T @ face.light.direction
  direction = np.asarray(seen) * [1.0, -1.0, -1.0]
  one = light.to_lights(face.light)
  share = 100 * float(light.directed_share(face.light))
  return _row(
    [
      _cut(image, window, size),
      _arrow(_ball(one, camera, size), direction),
      _ball(light.to_environment(face.light), camera, size),
      _relit(image, face, light.to_environment(face.light), window, PANEL),
    ],
    [
      light.words(face.light),
      f'one light ({share:.0f} %) over an ambient one',
      'environment of nine harmonics',
      'the face of the landmarks in that light',
    ],
  )


# What can be drawn of a photo and its face.
SHEETS = {'landmarks': landmark_sheet, 'light': light_sheet}
