"""Surfaces of EG3D's scenes: density on a grid, marching cubes, colours.

Shapes: R side of the grid, V vertices, F faces. Grids are indexed [x, y, z];
the world has +y up and +z out of the face, like a mesh.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np
from scipy import sparse
from skimage import measure

from maskjax.gan import model as model_lib
from maskjax.geometry import color, ffhq, mesh as mesh_lib

# Density of the surface in released models: a tenth of a unit stops two
# thirds of the light.
USUAL_LEVEL = 10.0
# Points evaluated at a time.
_CHUNK = 2**16
Field = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class NoSurfaceError(ValueError):
  """A scene has no surface at the level that is asked for."""


@functools.partial(jax.jit, static_argnums=0)
def _evaluate(module: Any, variables: Any, planes: Array, points: Array):
  """Return density and colours at points of one scene."""
  density, features = model_lib.run(
    variables, module.field, planes, points[None]
  )
  return density[0], features[0, :, :3]


def field_of(model: model_lib.Model, planes: Float[Array, '3 r r c']) -> Field:
  """Return the field of a scene, evaluated in chunks.

  Args:
    model: EG3D.
    planes: of one scene.

  Returns:
    From points [N, 3] to raw densities [N] and sRGB colours [N, 3].
  """

  def field(points):
    density, colors = [], []
    for start in range(0, len(points), _CHUNK):
      part = np.zeros((_CHUNK, 3), np.float32)
      own = points[start : start + _CHUNK]
      part[: len(own)] = own
      made = _evaluate(model.module, model.variables, planes[None], part)
      density.append(np.asarray(made[0])[: len(own)])
      colors.append(np.asarray(made[1])[: len(own)])
    return np.concatenate(density), np.concatenate(colors)

  return field


def density_grid(
  field: Field,
  *,
  resolution: int,
  box: float,
  report: Callable[[int], None] = lambda done: None,
) -> Float[np.ndarray, 'r r r']:
  """Evaluate densities on a grid from face to face of the box.

  Args:
    field: of a scene.
    resolution: points along an edge.
    box: side of the cube around the origin.
    report: is told now and then how many of `resolution` slabs are done.
  """
  axis = np.linspace(-box / 2, box / 2, resolution, dtype=np.float32)
  y, z = (part.reshape(-1) for part in np.meshgrid(axis, axis, indexing='ij'))
  together = max(1, _CHUNK // resolution**2)
  slabs = []
  for start in range(0, resolution, together):
    x = np.repeat(axis[start : start + together], len(y))
    count = len(x) // len(y)
    points = np.stack([x, np.tile(y, count), np.tile(z, count)], -1)
    slabs.append(field(points)[0].reshape(count, resolution, resolution))
    report(start + count)
  return np.concatenate(slabs)


def _largest(
  vertices: Float[np.ndarray, 'v 3'], faces: Int[np.ndarray, 'f 3']
) -> tuple[np.ndarray, np.ndarray]:
  """Keep the piece with most vertices."""
  edges = np.concatenate([faces[:, :2], faces[:, 1:]])
  size = len(vertices)
  graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), (size, size))
  _, piece = sparse.csgraph.connected_components(graph, directed=False)
  kept = piece == np.bincount(piece).argmax()
  number = np.cumsum(kept) - 1
  return vertices[kept], number[faces[kept[faces[:, 0]]]]


def _trimmed(
  grid: Float[np.ndarray, 'r r r'], trim: float
) -> tuple[Float[np.ndarray, 's s s'], int]:
  """Return the grid without its border, and the border's width."""
  border = round(trim * len(grid))
  return grid[(slice(border, len(grid) - border or None),) * 3], border


def choose_level(
  grid: Float[np.ndarray, 'r r r'], *, trim: float = 30 / 256
) -> float:
  """Return a density that the scene has a surface at.

  Args:
    grid: raw densities.
    trim: see `surface`.

  Returns:
    `USUAL_LEVEL` if it lies well within the densities that occur (a hundredth
    of the points on each side); otherwise the middle between their 5th and
    95th percentile, for models too young to have learned what is empty.
  """
  inside, _ = _trimmed(grid, trim)
  low, five, most, high = np.percentile(inside, (1, 5, 95, 99)).tolist()
  return USUAL_LEVEL if low < USUAL_LEVEL < high else (five + most) / 2


def surface(
  grid: Float[np.ndarray, 'r r r'],
  *,
  box: float,
  level: float = USUAL_LEVEL,
  trim: float = 30 / 256,
  largest: bool = True,
) -> tuple[Float[np.ndarray, 'v 3'], Int[np.ndarray, 'f 3']]:
  """Find where densities cross a level.

  Args:
    grid: raw densities.
    box: side of the cube that the grid spans.
    level: of density.
    trim: part of the grid left out at each side, where nothing was learned.
    largest: keep the largest piece only.

  Returns:
    Vertices in the scene's unit and faces, counter-clockwise from outside;
    closed.

  Raises:
    NoSurfaceError: densities lie all on one side of the level, or are not
      finite.
  """
  if not np.isfinite(grid).all():
    raise NoSurfaceError('densities that are not finite')
  inside, border = _trimmed(grid, trim)
  low, high = float(inside.min()), float(inside.max())
  if not low < level < high:
    raise NoSurfaceError(
      f'no surface at level {level:g}: its densities are from {low:.3g} to '
      f'{high:.3g}, choose a level between'
    )
  # Below the level all around: the surface closes.
  inside = np.pad(inside, 1, constant_values=min(low, level - (high - level)))
  vertices, faces, _, _ = measure.marching_cubes(inside, level)
  spacing = box / (len(grid) - 1)
  vertices = (vertices + (border - 1)) * spacing - box / 2
  a, b, c = (vertices[faces[:, i]] for i in range(3))
  if (np.cross(a, b) * c).sum() < 0:
    faces = faces[:, ::-1]
  if largest:
    vertices, faces = _largest(vertices, faces)
  return vertices.astype(np.float32), faces.astype(np.int32)


def extract(
  model: model_lib.Model,
  planes: Float[Array, '3 r r c'],
  *,
  resolution: int = 256,
  level: float | None = None,
  trim: float = 30 / 256,
  report: Callable[[int], None] = lambda done: None,
) -> tuple[mesh_lib.Mesh, float]:
  """Turn a scene into a mesh with a colour at each vertex.

  Args:
    model: EG3D.
    planes: of one scene.
    resolution: points along an edge of the grid.
    level: of raw density, 2 to 20 are usual; None for `choose_level`.
    trim: see `surface`.
    report: see `density_grid`.

  Returns:
    A closed mesh in cm (`ffhq.CM_PER_UNIT`), linear colours; and the level.

  Raises:
    NoSurfaceError: no surface at this level.
  """
  box = model.module.config.volume.box
  field = field_of(model, planes)
  grid = density_grid(field, resolution=resolution, box=box, report=report)
  if level is None:
    level = choose_level(grid, trim=trim)
  vertices, faces = surface(grid, box=box, level=level, trim=trim)
  _, colors = field(vertices)
  linear = color.srgb_to_linear(jnp.clip(jnp.asarray(colors), 0, 1))
  mesh = mesh_lib.Mesh(
    jnp.asarray(vertices * ffhq.CM_PER_UNIT), jnp.asarray(faces), linear
  )
  return mesh, level
