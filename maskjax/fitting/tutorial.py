"""Fitting meshes to pictures: what the tutorial in docs/fitting.md does.

Two tasks of inverse rendering with the rasterizer alone: the shape of a head
from its silhouettes, and shape, colours and light of a face from one photo.

Shapes: `B` views, `V` vertices, `F` faces, `s` pixels on a side.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np
import optax
import trimesh

from maskjax.data.creatures import creatures
from maskjax.face import fitting as head_fitting, light, photo
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

TASKS = ('silhouettes', 'photo')
# Cameras around the head, degrees.
_AZIMUTHS = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
_ELEVATIONS = (0.0, 20.0, -15.0, 20.0, 0.0, 20.0, -15.0, 20.0)
_CLAY = (0.62, 0.6, 0.57)
# What the photo's crop shows, in widths of the face.
_CROP = 1.7


class Fit(NamedTuple):
  """A fitted mesh.

  Attributes:
    mesh: cm, with colours where they were fitted.
    sheet: sRGB pictures of target, start and result.
    numbers: by name; what was reached.
  """

  mesh: mesh_lib.Mesh
  sheet: UInt8[np.ndarray, 'h w 3']
  numbers: dict[str, float]


def minimize(
  loss: Callable[[Any], Array], params: Any, *, rates: Any, steps: int
) -> tuple[Any, Float[Array, 'n']]:
  """Runs Adam, all steps in one compiled loop.

  Args:
    loss: function of the parameters.
    params: where to begin, a tuple.
    rates: a step size for each of its members; all fall along a cosine.
    steps: number of updates.

  Returns:
    The parameters found, and the loss before each step.
  """
  labels = tuple(str(i) for i in range(len(rates)))
  tx = optax.multi_transform(
    {
      label: optax.adam(optax.cosine_decay_schedule(rate, steps), b2=0.99)
      for label, rate in zip(labels, rates)
    },
    labels,
  )

  @jax.jit
  def run(params):
    def step(state, _):
      params, opt_state = state
      value, gradient = jax.value_and_grad(loss)(params)
      updates, opt_state = tx.update(gradient, opt_state)
      return (optax.apply_updates(params, updates), opt_state), value

    (params, _), values = jax.lax.scan(
      step, (params, tx.init(params)), length=steps
    )
    return params, values

  return run(params)


def _bytes(images):
  """Turns linear pictures into sRGB bytes."""
  shown = color.linear_to_srgb(jnp.clip(images, 0.0, 1.0))
  return color.to_bytes(np.asarray(shown))


def _clay(vertices, faces, camera, size):
  """Pictures of a mesh without colours, lit from the upper left."""
  toward_light = jnp.asarray([-0.35, -0.6, -0.75])  # as the camera sees it
  lights = jax.vmap(
    lambda pose: lights_lib.directional(
      pose[:3, :3] @ toward_light, color=(0.75,) * 3, ambient=(0.3, 0.31, 0.33)
    )
  )(camera.cam2world)
  images = renderer.render(
    vertices,
    faces,
    jnp.broadcast_to(jnp.asarray(_CLAY), vertices.shape),
    camera,
    lights,
    size=size,
    mode='hard',
    background=(0.86, 0.87, 0.89),
  )
  return _bytes(images.rgb)


def _gray(alpha):
  """Pictures of silhouettes, dark on white."""
  return np.repeat(_bytes(1.0 - 0.9 * alpha[..., None] ** 2.2), 3, -1)


def fit_silhouettes(
  target: mesh_lib.Mesh, *, size: int = 96, steps: int = 200, level: int = 3
) -> Fit:
  """Moulds a ball until its silhouettes are those of a head.

  Args:
    target: the head, only its silhouettes are used; cm.
    size: pixels on a side.
    steps: of Adam.
    level: the ball has 20 * 4^level faces.
  """
  camera = camera_lib.orbit(
    jnp.asarray(_AZIMUTHS), jnp.asarray(_ELEVATIONS), radius=74.6, fovy=30.0
  )
  ball = trimesh.creation.icosphere(subdivisions=level, radius=9.0)
  faces = np.asarray(ball.faces, np.int32)
  start = jnp.asarray(ball.vertices, jnp.float32)
  # Gradients pass through (I + lambda L)^-1, so that whole regions move.
  smooth = jnp.asarray(laplacian.smoothing_operator(start, faces, 4.0))
  pairs, edges = energies.face_pairs(faces), mesh_lib.edges(faces)

  def silhouettes(vertices, faces, **options):
    black = jnp.zeros_like(vertices)
    return renderer.render(
      *(vertices, faces, black, camera, lights_lib.uniform()),
      size=size,
      **options,
    ).alpha[..., 0]

  sharp = jax.jit(functools.partial(silhouettes, mode='hard'))
  wanted = sharp(target.vertices, target.faces)

  def place(offsets):
    return start + jnp.matmul(smooth, offsets, precision='highest')

  def loss(params, **options):
    vertices = place(params[0])
    miss = jnp.mean((silhouettes(vertices, faces, **options) - wanted) ** 2)
    bends = energies.normal_consistency(vertices, faces, pairs)
    uneven = energies.laplacian_energy(params[0], edges)
    return miss + 0.003 * bends + 1e-5 * uneven

  # Soft outlines reach far, but are a little wider than sharp ones.
  params, losses = (jnp.zeros_like(start),), jnp.zeros(0)
  for options, rate in (({'sigma': 3e-4}, 0.5), ({'mode': 'hard'}, 0.1)):
    params, losses = minimize(
      functools.partial(loss, **options),
      params,
      rates=(rate,),
      steps=steps // 2,
    )
  (offsets,) = params
  vertices = place(offsets)
  before, after = (sharp(v, jnp.asarray(faces)) for v in (start, vertices))
  shown = [0, 1, 2, 3]
  names = [f'{_AZIMUTHS[i]:.0f}°' for i in shown]
  views = jax.tree.map(lambda x: x[np.array(shown)], camera)
  rows = [
    ('The silhouettes that are given', _gray(wanted)),
    ('The ball at the start', _gray(before)),
    ('The silhouettes of the result', _gray(after)),
    ('The result', _clay(vertices, faces, views, 2 * size)),
    (
      'The head that cast the silhouettes',
      _clay(target.vertices, target.faces, views, 2 * size),
    ),
  ]
  sheet = sheets.titled(
    'A mesh from 8 silhouettes',
    [(title, list(zip(names, pictures))) for title, pictures in rows],
    size=192,
  )

  def iou(alpha):
    got, there = np.asarray(alpha) > 0.5, np.asarray(wanted) > 0.5
    return float((got & there).sum() / (got | there).sum())

  numbers = {
    'iou_start': iou(before),
    'iou': iou(after),
    'loss': float(losses[-1]),
  }
  return Fit(mesh_lib.Mesh(vertices, jnp.asarray(faces)), sheet, numbers)


def _crop(image, face, size):
  """Cuts the square around a face; returns it, linear, and its camera."""
  height, width, _ = image.shape
  points = np.asarray(face.points)[:, :2] * [width, height]
  low, high = points.min(0), points.max(0)
  side = min(_CROP * float((high - low).max()), height, width)
  corner = (low + high) / 2 - side / 2 - [0, 0.06 * side]
  corner = np.clip(corner, 0, [width - side, height - side])
  box = (np.arange(size) + 0.5) / size * side
  x, y = np.meshgrid(corner[0] + box - 0.5, corner[1] + box - 0.5)
  pixels = jax.vmap(
    lambda channel: jax.scipy.ndimage.map_coordinates(
      channel, [jnp.asarray(y), jnp.asarray(x)], order=1, mode='nearest'
    ),
    2,
    2,
  )(jnp.asarray(image))
  camera = face.head.camera
  scale = jnp.asarray([[width], [height]]) / side
  rows = camera.intrinsics[:2] * scale
  rows = rows.at[:, 2].add(-jnp.asarray(corner, rows.dtype) / side)
  intrinsics = camera.intrinsics.at[:2].set(rows)
  cropped = camera_lib.Camera(camera.cam2world[None], intrinsics[None])
  return color.srgb_to_linear(pixels), cropped


def fit_photo(
  image: Float[np.ndarray, 'h w 3'], *, size: int = 128, steps: int = 200
) -> Fit:
  """Fits a mask to the face of a photo: shape, colours and light.

  Args:
    image: sRGB in [0, 1].
    size: pixels on a side of the crop that is fitted.
    steps: of Adam.

  Raises:
    ValueError: no face is found.
  """
  face = photo.look(image)
  wanted, camera = _crop(image, face, size)
  mask = template.mask_template('face', edge_length=0.6).mesh
  faces = np.asarray(mask.faces)
  start = head_fitting.fit_head(face.head.points, mask.vertices)
  smooth = jnp.asarray(laplacian.smoothing_operator(start, faces, 6.0))
  edges, pairs = mesh_lib.edges(faces), energies.face_pairs(faces)

  def build(params):
    offsets, logits, harmonics = params
    vertices = start + jnp.matmul(smooth, offsets, precision='highest')
    lights = lights_lib.create(harmonics=harmonics)
    return vertices, jax.nn.sigmoid(logits), lights

  def draw(params, mode='soft'):
    vertices, albedo, lights = build(params)
    return renderer.render(
      *(vertices, faces, albedo, camera, lights),
      size=size,
      mode=mode,
      background=wanted[None],
    )

  def loss(params):
    vertices, albedo, _ = build(params)
    rgb = color.linear_to_srgb(jnp.clip(draw(params).rgb[0], 0.0, 1.0))
    miss = jnp.mean((rgb - color.linear_to_srgb(wanted)) ** 2)
    bends = energies.normal_consistency(vertices, faces, pairs)
    moved = energies.laplacian_energy(vertices - start, edges)
    speckles = energies.laplacian_energy(albedo, edges)
    drift = jnp.mean((params[2] - environment) ** 2)
    energy = 0.002 * bends + 0.2 * moved + 0.02 * speckles
    return miss + energy + 0.05 * drift

  environment = light.to_environment(face.light).harmonics
  skin = jnp.zeros_like(start)  # a grey of 0.5
  params = (jnp.zeros_like(start), skin, environment)
  found, losses = minimize(loss, params, rates=(0.02, 0.05, 0.01), steps=steps)
  vertices, albedo, _ = build(found)
  turned = camera_lib.orbit(
    jnp.asarray([-35.0, 35.0]), jnp.asarray([0.0, 0.0]), radius=55.0
  )
  side = _clay(vertices, faces, turned, 2 * size)
  even = renderer.render(
    *(vertices, faces, albedo, turned, lights_lib.uniform()),
    size=2 * size,
    mode='hard',
    background=(0.86, 0.87, 0.89),
  ).rgb
  ahead = _clay(jnp.asarray(start), faces, camera, 2 * size)[0]
  hard = functools.partial(draw, mode='hard')
  rows = [
    (
      'The photo, and the mask on it',
      [
        ('the photo', _bytes(wanted)),
        ('start', _bytes(hard(params).rgb[0])),
        ('result', _bytes(hard(found).rgb[0])),
        ('start, clay', ahead),
      ],
    ),
    (
      'The result from both sides',
      [
        *zip(('-35°, even light', '+35°, even light'), _bytes(even)),
        *zip(('-35°, clay', '+35°, clay'), side),
      ],
    ),
  ]
  sheet = sheets.titled('A mask from a photo', rows, size=256)
  alpha = hard(found).alpha[0]
  misses = [
    float(jnp.sum(jnp.abs(draw(p).rgb[0] - wanted) * alpha) / jnp.sum(alpha))
    for p in (params, found)
  ]
  numbers = {
    'error_start': misses[0] / 3,
    'error': misses[1] / 3,
    'loss': float(losses[-1]),
  }
  mesh = mesh_lib.Mesh(vertices, jnp.asarray(faces), albedo, mask.uvs)
  return Fit(mesh, sheet, numbers)


def planted_head(kind: str = 'elephant') -> mesh_lib.Mesh:
  """Returns the head whose silhouettes the tutorial uses."""
  return creatures.mean_shape(kind)
