"""Masks as a signed distance on a grid, in place of vertices that move.

What is trained are changes of the distance, smoothed over neighbouring grid
points; marching tetrahedra make a mesh of them (patent [0100]: the mask may
be any trainable shape). So a mask can grow horns, join and split, which
vertices cannot. An open start shape is closed by a membrane behind it, and
what lies around its rim stays.

Source: Shen et al., "Deep Marching Tetrahedra" (2021), for the form of it.

Shapes: `X Y Z` grid points, `N` = X * Y * Z.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import ml_collections
import numpy as np
import scipy.sparse
import scipy.spatial

from maskjax.geometry import (
  distance,
  mesh as mesh_lib,
  template as template_lib,
  tetrahedra,
)

# Over this distance from the rim, and in front of it, the shape becomes free
# to move.
_RIM_CM = 3.0
# Over this many grid points from the border of the grid, too: what grew out
# of it would be cut open.
_BORDER_POINTS = 2
# Smoothing of the start's distance.
_START_PASSES = 2
# At export no vertex comes nearer to a grid point than this part of an edge:
# it would make needles of triangles.
_EXPORT_MARGIN = 0.06
# Pieces with fewer than this part of the faces are dropped at export.
_LEAST_PIECE = 0.05


class Volume(NamedTuple):
  """What stays fixed while a mask is optimised.

  Attributes:
    grid: where the distances are.
    capacity: of the lists that the mesh is put in.
    start: distances of the start shape, cm.
    free: how far a distance may change, in [0, 1].
    passes: of the smoothing; the changes of about 0.7 * sqrt(passes) grid
      points in each direction go together.
    symmetric: whether the start shape is, left and right.
  """

  grid: tetrahedra.Grid
  capacity: tetrahedra.Capacity
  start: Float[Array, 'x y z']
  free: Float[Array, 'x y z']
  passes: int
  symmetric: bool


def _grid(mesh, cell, margin):
  """Lays a grid around a mesh, its middle plane at x = 0."""
  vertices = np.asarray(mesh.vertices)
  low, high = vertices.min(0) - margin, vertices.max(0) + margin
  width = max(-low[0], high[0])
  low[0], high[0] = -width, width
  shape = np.ceil((high - low) / cell).astype(int) + 1
  low[0] = -0.5 * cell * (shape[0] - 1)
  return tetrahedra.Grid(
    tuple(shape.tolist()), tuple(low.tolist()), float(cell)
  )


def _smooth(values, passes):
  """Averages neighbours along each axis with weights 1, 2, 1."""
  for _ in range(passes):
    for axis in range(3):
      widths = [(1, 1) if a == axis else (0, 0) for a in range(3)]
      padded = jnp.pad(values, widths, mode='edge')
      count = values.shape[axis]
      before, after = (
        jnp.take(padded, np.arange(count) + step, axis=axis) for step in (0, 2)
      )
      values = 0.25 * before + 0.5 * values + 0.25 * after
  return values


_smooth_jit = jax.jit(_smooth, static_argnames='passes')
_march_jit = jax.jit(
  tetrahedra.march, static_argnames=('grid', 'capacity', 'margin')
)


def _freedom(template, grid, pin_rim):
  """Returns how far the distance may change at each grid point, in [0, 1]."""
  sides = [np.minimum(np.arange(n), np.arange(n)[::-1]) for n in grid.shape]
  inward = np.minimum.reduce(np.meshgrid(*sides, indexing='ij'))
  free = np.clip((inward - 1) / _BORDER_POINTS, 0.0, 1.0)
  if pin_rim and len(template.rim):
    points = tetrahedra.positions(grid)
    rim = np.asarray(template.mesh.vertices)[template.rim]
    away, _ = scipy.spatial.cKDTree(rim).query(points)
    ahead = points[:, 2] - rim[:, 2].min()
    held = (np.minimum(away, ahead) - grid.cell) / _RIM_CM
    free *= np.clip(held, 0.0, 1.0).reshape(grid.shape)
  return jnp.asarray(free, jnp.float32)


def create(
  template: template_lib.Template,
  config: ml_collections.ConfigDict,
  *,
  pin_rim: bool,
) -> Volume:
  """Samples the signed distance of a start shape.

  Args:
    template: the start shape, open or closed.
    config: `sdf` of configs/mask.py.
    pin_rim: whether what lies around the border stays where it is.

  Returns:
    Volume.

  Raises:
    ValueError: numbers out of range.
  """
  if not config.cell > 0:
    raise ValueError(f'sdf.cell is {config.cell}; give a length in cm > 0')
  if not config.margin >= 2 * config.cell:
    raise ValueError(
      f'sdf.margin is {config.margin}; give at least two cells, '
      f'{2 * config.cell} cm'
    )
  grid = _grid(template.mesh, config.cell, config.margin)
  points = tetrahedra.positions(grid)
  start = distance.signed_distance(points, template.mesh).reshape(grid.shape)
  # The sharp edge where sheet and membrane meet would be a row of teeth.
  start = _smooth_jit(jnp.asarray(start, jnp.float32), passes=_START_PASSES)
  return Volume(
    grid=grid,
    capacity=tetrahedra.choose_capacity(start, config.headroom),
    start=start,
    free=_freedom(template, grid, pin_rim),
    passes=config.passes,
    symmetric=template.symmetry is not None,
  )


def growth(
  volume: Volume, changes: Float[Array, 'x y z'], *, bound: float
) -> Float[Array, 'x y z']:
  """Returns by how much a distance has fallen from the start, in units.

  Args:
    volume: the fixed part.
    changes: what is trained.
    bound: largest change, in the unit of `changes`; approached smoothly.
  """
  smooth = _smooth(changes, volume.passes)
  return volume.free * bound * jnp.tanh(smooth / bound)


def march(
  volume: Volume,
  fallen: Float[Array, 'x y z'],
  values: Float[Array, 'n c'] | None = None,
) -> tetrahedra.Marched:
  """Makes a mesh of the start shape, grown by `fallen` cm."""
  return tetrahedra.march(
    volume.start - fallen, volume.grid, volume.capacity, values
  )


def fullness(volume: Volume, marched: tetrahedra.Marched) -> Float[Array, '']:
  """Returns how full the lists are; above 1 they overflow."""
  lengths = jnp.asarray(volume.capacity, jnp.float32)
  return jnp.max(marched.needed.astype(jnp.float32) / lengths)


def _laplacian(values):
  inner = values[1:-1, 1:-1, 1:-1]
  total = -6.0 * inner
  for axis in range(3):
    for start in (0, 2):
      cut = [slice(1, -1)] * 3
      cut[axis] = slice(start, start - 2 or None)
      total = total + values[tuple(cut)]
  return total


def regularize(
  volume: Volume,
  fallen: Float[Array, 'x y z'],
  weights: ml_collections.ConfigDict,
) -> dict[str, Any]:
  """Returns the weighted energies of a shape, by name.

  They stand for those of a mesh with the same names: the Laplacian of the
  change, the distance's slope, which should stay 1, and the symmetry.

  Args:
    volume: the fixed part.
    fallen: of `growth`, cm.
    weights: `regularizers` of configs/mask.py; 0 leaves an energy out.
  """
  terms = {}
  if weights.laplacian:
    energy = jnp.mean(_laplacian(fallen) ** 2)
    terms['laplacian'] = weights.laplacian * energy
  if weights.edge_length:
    # Measured between neighbours near the surface.
    now = (volume.start - fallen) / volume.grid.cell
    steps = [
      jnp.diff(now, axis=a)[tuple(slice(n - 1) for n in now.shape)]
      for a in range(3)
    ]
    slope = jnp.sqrt(sum(step * step for step in steps) + 1e-6)
    near = jnp.abs(now[:-1, :-1, :-1]) < 2.0
    energy = jnp.sum(jnp.where(near, (slope - 1.0) ** 2, 0.0))
    energy = energy / jnp.maximum(jnp.sum(near), 1)
    terms['edge_length'] = weights.edge_length * energy
  if weights.symmetry and volume.symmetric:
    energy = jnp.mean((fallen - fallen[::-1]) ** 2)
    terms['symmetry'] = weights.symmetry * energy
  return terms


def _largest_pieces(faces, count):
  """Tells which faces belong to pieces of some size."""
  sides = faces[:, [0, 1, 1, 2]].reshape(-1, 2)
  graph = scipy.sparse.coo_array((np.ones(len(sides)), sides.T), (count, count))
  _, piece = scipy.sparse.csgraph.connected_components(graph, directed=False)
  sizes = np.bincount(piece[faces[:, 0]], minlength=piece.max() + 1)
  return sizes[piece[faces[:, 0]]] >= _LEAST_PIECE * len(faces)


def export(
  volume: Volume,
  fallen: Float[Array, 'x y z'],
  values: Float[Array, 'n c'] | None = None,
) -> mesh_lib.Mesh:
  """Returns the mesh without padding, needles and crumbs.

  Args:
    volume: the fixed part.
    fallen: of `growth`, cm (concrete, not traced).
    values: colours per grid point, or None.
  """
  distances = volume.start - fallen
  marched = _march_jit(
    distances,
    grid=volume.grid,
    capacity=tetrahedra.choose_capacity(distances, 1.0),
    values=values,
    margin=_EXPORT_MARGIN,
  )
  faces = np.asarray(marched.faces)
  faces = faces[_largest_pieces(faces, len(marched.vertices))]
  mesh = mesh_lib.Mesh(marched.vertices, jnp.asarray(faces), marched.values)
  return mesh_lib.compact(mesh)
