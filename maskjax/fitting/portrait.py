"""A mask from one photo of a face: its shape, its colours and its light.

The second task of the tutorial in docs/fitting.md.

Shapes: `V` vertices, `F` faces, `h w` pixels of a photo, `s` pixels on a side
of its crop.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8
import numpy as np

from maskjax.face import head_fitting, light, photo
from maskjax.fitting import pictures
from maskjax.geometry import (
  camera as camera_lib,
  color,
  energies,
  laplacian,
  mesh as mesh_lib,
  template,
)
from maskjax.render import lights as lights_lib, renderer
from maskjax.studio import sheets
from maskjax.training import minimize

# What the photo's crop shows, in widths of the face, and how far above its
# middle that of the face lies, in sides of the crop.
_CROP = 1.7
_RAISED = 0.06


class _Mask(NamedTuple):
  """What is fitted, and what keeps it smooth."""

  start: Float[Array, 'v 3']  # cm, over the landmarks
  faces: Int[Array, 'f 3']
  smooth: Float[Array, 'v v']  # (I + lambda L)^-1
  edges: Int[np.ndarray, 'e 2']
  pairs: Int[np.ndarray, 'p 2']  # of faces that share an edge


class _Scene(NamedTuple):
  """The crop of the photo, and what is known of it."""

  wanted: Float[Array, 's s 3']  # linear RGB
  camera: camera_lib.Camera
  environment: Float[Array, '9 3']  # harmonics of the light


class _Params(NamedTuple):
  """What is found."""

  offsets: Float[Array, 'v 3']  # cm, before smoothing
  logits: Float[Array, 'v 3']  # of linear RGB
  harmonics: Float[Array, '9 3']  # of the light


_RATES = _Params(offsets=0.02, logits=0.05, harmonics=0.01)


def _window(
  points: Float[np.ndarray, 'n 2'], height: int, width: int
) -> tuple[Float[np.ndarray, '2'], float]:
  """Return the upper left corner and the side of the square around a face."""
  low, high = points.min(0), points.max(0)
  side = min(_CROP * float((high - low).max()), height, width)
  corner = (low + high) / 2 - side / 2 - [0, _RAISED * side]
  return np.clip(corner, 0, [width - side, height - side]), side


def _cut(
  image: Float[np.ndarray, 'h w 3'],
  corner: Float[np.ndarray, '2'],
  side: float,
  size: int,
) -> Float[Array, 's s 3']:
  """Read a square of a photo, bilinearly."""
  box = (np.arange(size) + 0.5) / size * side
  x, y = np.meshgrid(corner[0] + box - 0.5, corner[1] + box - 0.5)
  return jax.vmap(
    lambda channel: jax.scipy.ndimage.map_coordinates(
      channel, [jnp.asarray(y), jnp.asarray(x)], order=1, mode='nearest'
    ),
    2,
    2,
  )(jnp.asarray(image))


def _crop(
  image: Float[np.ndarray, 'h w 3'], face: photo.Face, size: int
) -> tuple[Float[Array, 's s 3'], camera_lib.Camera]:
  """Cut the square around a face; return it, linear, and its camera."""
  height, width, _ = image.shape
  points = np.asarray(face.points)[:, :2] * [width, height]
  corner, side = _window(points, height, width)
  camera = face.head.camera
  scale = jnp.asarray([[width], [height]]) / side
  rows = camera.intrinsics[:2] * scale
  rows = rows.at[:, 2].add(-jnp.asarray(corner, rows.dtype) / side)
  intrinsics = camera.intrinsics.at[:2].set(rows)
  cropped = camera_lib.Camera(camera.cam2world[None], intrinsics[None])
  return color.srgb_to_linear(_cut(image, corner, side, size)), cropped


def _mask(face: photo.Face) -> tuple[_Mask, mesh_lib.Mesh]:
  """Lay a mask with eye and mouth holes over the landmarks of a face."""
  mesh = template.mask_template('face', edge_length=0.6).mesh
  faces = np.asarray(mesh.faces)
  start = head_fitting.fit_head(face.head.points, mesh.vertices)
  mask = _Mask(
    start=jnp.asarray(start),
    faces=mesh.faces,
    smooth=jnp.asarray(
      laplacian.smoothing_operator(np.asarray(start), faces, 6.0)
    ),
    edges=mesh_lib.edges(faces),
    pairs=energies.face_pairs(faces),
  )
  return mask, mesh


def _vertices(mask: _Mask, params: _Params) -> Float[Array, 'v 3']:
  moved = jnp.matmul(mask.smooth, params.offsets, precision='highest')
  return mask.start + moved


@functools.partial(jax.jit, static_argnames='mode')
def _draw(
  params: _Params, mask: _Mask, scene: _Scene, mode: str = 'soft'
) -> renderer.Rendering:
  """Render the mask over the photo, as its camera sees it."""
  return renderer.render(
    _vertices(mask, params),
    mask.faces,
    jax.nn.sigmoid(params.logits),
    scene.camera,
    lights_lib.create(harmonics=params.harmonics),
    size=scene.wanted.shape[0],
    mode=mode,
    background=scene.wanted[None],
  )


def _loss(params: _Params, mask: _Mask, scene: _Scene) -> Float[Array, '']:
  """Compare with the photo in sRGB, and weigh in what is likely."""
  vertices = _vertices(mask, params)
  albedo = jax.nn.sigmoid(params.logits)
  rgb = _draw(params, mask, scene).rgb[0]
  rgb = color.linear_to_srgb(jnp.clip(rgb, 0.0, 1.0))
  miss = jnp.mean((rgb - color.linear_to_srgb(scene.wanted)) ** 2)
  bends = energies.normal_consistency(vertices, mask.faces, mask.pairs)
  moved = energies.laplacian_energy(vertices - mask.start, mask.edges)
  speckles = energies.laplacian_energy(albedo, mask.edges)
  drift = jnp.mean((params.harmonics - scene.environment) ** 2)
  energy = 0.002 * bends + 0.2 * moved + 0.02 * speckles
  return miss + energy + 0.05 * drift


@functools.partial(jax.jit, static_argnames='size')
def _evenly_lit(
  vertices: Float[Array, 'v 3'],
  faces: Int[Array, 'f 3'],
  albedo: Float[Array, 'v 3'],
  camera: camera_lib.Camera,
  *,
  size: int,
) -> Float[Array, 'b s s 3']:
  """Take pictures of a mesh in its colours, in even light."""
  return renderer.render(
    vertices,
    faces,
    albedo,
    camera,
    lights_lib.uniform(),
    size=size,
    mode='hard',
    background=pictures.BACKGROUND,
  ).rgb


def _from_both_sides(
  mask: _Mask, found: _Params, size: int
) -> list[tuple[str, UInt8[np.ndarray, 's s 3']]]:
  """Show a result turned, in even light and in clay."""
  turned = camera_lib.orbit(
    jnp.asarray([-35.0, 35.0]), jnp.asarray([0.0, 0.0]), radius=55.0
  )
  vertices = _vertices(mask, found)
  albedo = jax.nn.sigmoid(found.logits)
  even = _evenly_lit(vertices, mask.faces, albedo, turned, size=size)
  side = pictures.clay(vertices, mask.faces, turned, size)
  return [
    *zip(('-35°, even light', '+35°, even light'), pictures.to_bytes(even)),
    *zip(('-35°, clay', '+35°, clay'), side),
  ]


def _sheet(
  mask: _Mask, scene: _Scene, start: _Params, found: _Params
) -> UInt8[np.ndarray, 'y x 3']:
  """Lay out the photo, the mask on it, and the mask from both sides."""
  size = 2 * scene.wanted.shape[0]
  hard = functools.partial(_draw, mask=mask, scene=scene, mode='hard')
  ahead = pictures.clay(mask.start, mask.faces, scene.camera, size)[0]
  on_photo = [
    ('the photo', pictures.to_bytes(scene.wanted)),
    ('start', pictures.to_bytes(hard(start).rgb[0])),
    ('result', pictures.to_bytes(hard(found).rgb[0])),
    ('start, clay', ahead),
  ]
  rows = [
    ('The photo, and the mask on it', on_photo),
    ('The result from both sides', _from_both_sides(mask, found, size)),
  ]
  return sheets.titled('A mask from a photo', rows, size=256)


def _error(
  params: _Params,
  mask: _Mask,
  scene: _Scene,
  alpha: Float[Array, 's s 1'],
) -> float:
  """Return the mean difference from the photo where the result lies."""
  miss = jnp.abs(_draw(params, mask, scene).rgb[0] - scene.wanted)
  return float(jnp.sum(miss * alpha) / jnp.sum(alpha)) / 3


def fit(
  image: Float[np.ndarray, 'h w 3'], *, size: int = 128, steps: int = 200
) -> pictures.Fit:
  """Fit a mask to the face of a photo: shape, colours and light.

  Args:
    image: sRGB in [0, 1].
    size: pixels on a side of the crop that is fitted.
    steps: number of updates of Adam.

  Returns:
    The mask with its colours, linear RGB.

  Raises:
    ValueError: no face is found.
  """
  face = photo.look(image)
  wanted, camera = _crop(image, face, size)
  mask, mesh = _mask(face)
  environment = light.to_environment(face.light).harmonics
  scene = _Scene(wanted, camera, environment)
  grey = jnp.zeros_like(mask.start)  # logits of 0.5
  start = _Params(jnp.zeros_like(mask.start), grey, environment)
  loss = functools.partial(_loss, mask=mask, scene=scene)
  found, losses = minimize.adam(loss, start, rates=_RATES, steps=steps)
  alpha = _draw(found, mask, scene, mode='hard').alpha[0]
  numbers = {
    'error_start': _error(start, mask, scene, alpha),
    'error': _error(found, mask, scene, alpha),
    'loss': float(losses[-1]),
  }
  fitted = mesh_lib.Mesh(
    _vertices(mask, found), mesh.faces, jax.nn.sigmoid(found.logits), mesh.uvs
  )
  return pictures.Fit(fitted, _sheet(mask, scene, start, found), numbers)
