"""The shape of a head from its silhouettes: a ball is moulded until it fits.

The first task of the tutorial in docs/fitting.md.

Shapes: `B` views, `V` vertices, `F` faces, `s` pixels on a side.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8
import numpy as np
import trimesh

from maskjax.data.creatures import creatures
from maskjax.fitting import pictures
from maskjax.geometry import (
  camera as camera_lib,
  energies,
  laplacian,
  mesh as mesh_lib,
)
from maskjax.render import lights as lights_lib, renderer
from maskjax.studio import sheets
from maskjax.training import minimize

# Cameras around the head, degrees.
_AZIMUTHS = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
_ELEVATIONS = (0.0, 20.0, -15.0, 20.0, 0.0, 20.0, -15.0, 20.0)
_SHOWN = 4  # of them on the sheet
_RADIUS_CM = 9.0
# Soft outlines reach far, but are a little wider than sharp ones: half of the
# steps are taken with each, at these rates.
_STAGES = (({'sigma': 3e-4}, 0.5), ({'mode': 'hard'}, 0.1))


class _Ball(NamedTuple):
  """What is moulded, and what keeps it smooth."""

  start: Float[Array, 'v 3']  # cm
  faces: Int[Array, 'f 3']
  smooth: Float[Array, 'v v']  # (I + lambda L)^-1
  edges: Int[np.ndarray, 'e 2']
  pairs: Int[np.ndarray, 'p 2']  # of faces that share an edge


def _ball(level: int) -> _Ball:
  """Return a ball of 20 * 4^level faces."""
  ball = trimesh.creation.icosphere(subdivisions=level, radius=_RADIUS_CM)
  faces = np.asarray(ball.faces, np.int32)
  start = np.asarray(ball.vertices, np.float32)
  return _Ball(
    start=jnp.asarray(start),
    faces=jnp.asarray(faces),
    smooth=jnp.asarray(laplacian.smoothing_operator(start, faces, 4.0)),
    edges=mesh_lib.edges(faces),
    pairs=energies.face_pairs(faces),
  )


def _cameras() -> camera_lib.Camera:
  return camera_lib.orbit(
    jnp.asarray(_AZIMUTHS), jnp.asarray(_ELEVATIONS), radius=74.6, fovy=30.0
  )


def _silhouettes(vertices, faces, size, **options) -> Float[Array, 'b s s']:
  """Render coverage; options are those of `renderer.render`."""
  return renderer.render(
    vertices,
    faces,
    jnp.zeros_like(vertices),
    _cameras(),
    lights_lib.uniform(),
    size=size,
    **options,
  ).alpha[..., 0]


_sharp = jax.jit(
  functools.partial(_silhouettes, mode='hard'), static_argnames='size'
)


def _vertices(ball: _Ball, offsets: Array) -> Float[Array, 'v 3']:
  """Return moulded vertices: gradients pass through the smoothing matrix."""
  # So that whole regions move (Nicolet et al. 2021, equation 10).
  return ball.start + jnp.matmul(ball.smooth, offsets, precision='highest')


def _loss(offsets, ball, wanted, **options) -> Float[Array, '']:
  """Compare silhouettes, and weigh in what keeps the surface even."""
  vertices = _vertices(ball, offsets)
  got = _silhouettes(vertices, ball.faces, wanted.shape[1], **options)
  miss = jnp.mean((got - wanted) ** 2)
  bends = energies.normal_consistency(vertices, ball.faces, ball.pairs)
  uneven = energies.laplacian_energy(offsets, ball.edges)
  return miss + 0.003 * bends + 1e-5 * uneven


def _mould(
  ball: _Ball, wanted: Float[Array, 'b s s'], steps: int
) -> tuple[Float[Array, 'v 3'], Float[Array, 'n']]:
  """Find offsets, and the losses on the way of the last stage."""
  offsets, losses = jnp.zeros_like(ball.start), jnp.zeros(0)
  for options, rate in _STAGES:
    loss = functools.partial(_loss, ball=ball, wanted=wanted, **options)
    offsets, losses = minimize.adam(
      loss, offsets, rates=rate, steps=steps // len(_STAGES)
    )
  return offsets, losses


def _grey(alpha: Float[Array, 'b s s']) -> UInt8[np.ndarray, 'b s s 3']:
  """Show silhouettes, dark on white."""
  shade = pictures.to_bytes(1.0 - 0.9 * alpha[..., None] ** 2.2)
  return np.repeat(shade, 3, -1)


def _sheet(
  silhouettes: dict[str, Float[Array, 'b s s']],
  meshes: dict[str, mesh_lib.Mesh],
) -> UInt8[np.ndarray, 'y x 3']:
  """Lay out silhouettes, and meshes in clay, by the titles of their rows."""
  size = 2 * next(iter(silhouettes.values())).shape[1]
  names = [f'{azimuth:.0f}°' for azimuth in _AZIMUTHS[:_SHOWN]]
  views = jax.tree.map(lambda x: x[:_SHOWN], _cameras())
  rows = {title: _grey(alpha) for title, alpha in silhouettes.items()}
  for title, mesh in meshes.items():
    rows[title] = pictures.clay(mesh.vertices, mesh.faces, views, size)
  return sheets.titled(
    'A mesh from 8 silhouettes',
    [(title, list(zip(names, row))) for title, row in rows.items()],
    size=192,
  )


def _iou(alpha: Array, wanted: Array) -> float:
  """Return intersection over union of silhouettes."""
  got, there = np.asarray(alpha) > 0.5, np.asarray(wanted) > 0.5
  return float((got & there).sum() / (got | there).sum())


def fit(
  target: mesh_lib.Mesh, *, size: int = 96, steps: int = 200, level: int = 3
) -> pictures.Fit:
  """Mould a ball until its silhouettes are those of a head.

  Args:
    target: the head, cm; only its silhouettes are used.
    size: pixels on a side.
    steps: updates of Adam, half of them with soft outlines.
    level: the ball has 20 * 4^level faces.

  Returns:
    The moulded ball, without colours.
  """
  ball = _ball(level)
  wanted = _sharp(target.vertices, target.faces, size)
  offsets, losses = _mould(ball, wanted, steps)
  mesh = mesh_lib.Mesh(_vertices(ball, offsets), ball.faces)
  before, after = (
    _sharp(vertices, ball.faces, size)
    for vertices in (ball.start, mesh.vertices)
  )
  sheet = _sheet(
    {
      'The silhouettes that are given': wanted,
      'The ball at the start': before,
      'The silhouettes of the result': after,
    },
    {'The result': mesh, 'The head that cast the silhouettes': target},
  )
  numbers = {
    'iou_start': _iou(before, wanted),
    'iou': _iou(after, wanted),
    'loss': float(losses[-1]),
  }
  return pictures.Fit(mesh, sheet, numbers)


def planted_head(kind: str = 'elephant') -> mesh_lib.Mesh:
  """Return the head whose silhouettes the tutorial uses."""
  return creatures.mean_shape(kind)
