"""Masks as a signed distance on a grid, in place of vertices that move.

What is trained are changes of the distance, smoothed over neighbouring grid
points; marching tetrahedra make a mesh of them (patent [0100]: the mask may
be any trainable shape). So a mask can grow horns, join and split, which
vertices cannot. An open start shape is closed by a membrane behind it, and
what lies around its rim stays.

Source: Shen et al., "Deep Marching Tetrahedra" (2021), for the form of it.

Shapes: `X Y Z` grid points, `N` = X * Y * Z, `V` vertices.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np
import scipy.sparse
import scipy.spatial

from maskjax.geometry import (
  distance,
  mesh as mesh_lib,
  soundness,
  template as template_lib,
  tetrahedra,
)
from maskjax.mask import settings as settings_lib, trainable
from maskjax.render import hashgrid

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
    capacity: lengths of the lists that the mesh is put in.
    start: distances of the start shape, cm.
    free: how far a distance may change, in [0, 1].
    passes: number of smoothings; the changes of about 0.7 * sqrt(passes) grid
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
  """Lay a grid around a mesh, its middle plane at x = 0."""
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
  """Average neighbours along each axis with weights 1, 2, 1."""
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
  """Return how far the distance may change at each grid point, in [0, 1]."""
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


def volume_of(
  template: template_lib.Template,
  settings: settings_lib.Sdf,
  *,
  pin_rim: bool,
) -> Volume:
  """Sample the signed distance of a start shape.

  Args:
    template: the start shape, open or closed.
    settings: cell, margin, headroom and passes.
    pin_rim: whether what lies around the border stays where it is.
  """
  grid = _grid(template.mesh, settings.cell, settings.margin)
  points = tetrahedra.positions(grid)
  start = distance.signed_distance(points, template.mesh).reshape(grid.shape)
  # The sharp edge where sheet and membrane meet would be a row of teeth.
  start = _smooth_jit(jnp.asarray(start, jnp.float32), passes=_START_PASSES)
  return Volume(
    grid=grid,
    capacity=tetrahedra.choose_capacity(start, settings.headroom),
    start=start,
    free=_freedom(template, grid, pin_rim),
    passes=settings.passes,
    symmetric=template.symmetry is not None,
  )


def growth(
  volume: Volume, changes: Float[Array, 'x y z'], *, bound: float
) -> Float[Array, 'x y z']:
  """Return by how much a distance has fallen from the start, in units.

  Args:
    volume: the fixed part of the shape.
    changes: what is trained, head widths.
    bound: largest change, in the unit of `changes`; approached smoothly.
  """
  smooth = _smooth(changes, volume.passes)
  return volume.free * bound * jnp.tanh(smooth / bound)


def march(
  volume: Volume,
  fallen: Float[Array, 'x y z'],
  values: Float[Array, 'n c'] | None = None,
) -> tetrahedra.Marched:
  """Make a mesh of the start shape, grown by `fallen` cm."""
  return tetrahedra.march(
    volume.start - fallen, volume.grid, volume.capacity, values
  )


def fullness(volume: Volume, marched: tetrahedra.Marched) -> Float[Array, '']:
  """Return how full the lists are; above 1 they overflow."""
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


def _bending(fallen):
  """Return the mean square Laplacian of the change."""
  return jnp.mean(_laplacian(fallen) ** 2)


def _unevenness(volume, fallen):
  """Return how far the distance's slope near the surface is from 1."""
  now = (volume.start - fallen) / volume.grid.cell
  # Differences to the next grid point along each axis.
  steps = [
    jnp.diff(now, axis=a)[tuple(slice(n - 1) for n in now.shape)]
    for a in range(3)
  ]
  slope = jnp.sqrt(sum(step * step for step in steps) + 1e-6)
  near = jnp.abs(now[:-1, :-1, :-1]) < 2.0
  energy = jnp.sum(jnp.where(near, (slope - 1.0) ** 2, 0.0))
  return energy / jnp.maximum(jnp.sum(near), 1)


def energies(
  volume: Volume,
  fallen: Float[Array, 'x y z'],
  weights: settings_lib.Regularizers,
) -> dict[str, Float[Array, '']]:
  """Return the weighted energies of a shape, by name.

  They stand for those of a mesh with the same names: the Laplacian of the
  change, the distance's slope, which should stay 1, and the symmetry.

  Args:
    volume: the fixed part of the shape.
    fallen: by how much the distance has fallen, cm (`growth`).
    weights: weight of each energy; one of weight 0 is left out.
  """
  found = {
    'laplacian': lambda: _bending(fallen),
    'edge_length': lambda: _unevenness(volume, fallen),
  }
  if volume.symmetric:
    found['symmetry'] = lambda: jnp.mean((fallen - fallen[::-1]) ** 2)
  return trainable.weigh(weights, found)


def _largest_pieces(faces, count):
  """Tell which faces belong to pieces of some size."""
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
  """Return the mesh without padding, needles and crumbs.

  Args:
    volume: the fixed part of the shape.
    fallen: by how much the distance has fallen, cm (concrete).
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


# --- the row of the table `geometries.GEOMETRIES` ---------------------------


def _as_shown(volume, template):
  """Return the start shape as the volume shows it, as a template."""
  mesh = export(volume, jnp.zeros_like(volume.start))
  if template.mesh.colors is not None:
    tree = scipy.spatial.cKDTree(np.asarray(template.mesh.vertices))
    _, nearest = tree.query(np.asarray(mesh.vertices))
    mesh = dataclasses.replace(mesh, colors=template.mesh.colors[nearest])
  return dataclasses.replace(
    template,
    mesh=mesh,
    rim=np.zeros(0, np.int32),
    hole_loops=(),
    symmetry=None,
    atlas=None,
    canonical_triangles=None,
    canonical_weights=None,
  )


def create(
  template: template_lib.Template, settings: settings_lib.MaskSettings
) -> trainable.Base:
  """Prepare a start shape whose distance will change.

  Args:
    template: the start shape, open or closed.
    settings: settings of the mask; `sdf` and `optimizer.pin_rim` count.
  """
  volume = volume_of(template, settings.sdf, pin_rim=settings.optimizer.pin_rim)
  return trainable.Base(
    template=_as_shown(volume, template),
    start=jnp.zeros_like(volume.start),
    box=hashgrid.bounding_box(tetrahedra.positions(volume.grid), margin=0.0),
    body=volume,
  )


def _spread(base, colors):
  """Give each grid point the colour of the nearest vertex of the start."""
  tree = scipy.spatial.cKDTree(np.asarray(base.template.mesh.vertices))
  _, nearest = tree.query(tetrahedra.positions(base.body.grid))
  return jnp.asarray(colors)[nearest]


def _fallen(base, offsets, bound):
  """Return by how many cm the distance has fallen."""
  return trainable.HEAD_WIDTH_CM * growth(base.body, offsets, bound=bound)


def _form(
  base: trainable.Base, offsets: Array, values: Array | None, bound: float
) -> trainable.Formed:
  fallen = _fallen(base, offsets, bound)
  marched = march(base.body, fallen, values)
  return trainable.Formed(
    vertices=marched.vertices,
    faces=marched.faces,
    values=marched.values,
    change=fallen,
    measures={'fullness': fullness(base.body, marched)},
  )


def _hold(updates: Any, metrics: dict[str, Array]) -> Any:
  """Stop a step whose mesh overflowed: it has holes, and is to be reported."""
  fits = metrics['fullness'] <= 1.0
  return jax.tree.map(lambda x: jnp.where(fits, x, 0.0), updates)


def watch(step: int, metrics: dict[str, Any]) -> None:
  """End a run whose surface has outgrown its lists.

  Raises:
    ValueError: the lists overflowed; one line that names the field to raise.
  """
  if metrics['fullness'] > 1.0:
    raise ValueError(
      f'at step {step} the surface needs {metrics["fullness"]:.2f} times the '
      'triangles that were set aside, and was not trained further; continue '
      'with --config.resume=true and a larger --config.sdf.headroom'
    )


def _finish(
  base: trainable.Base, mesh: mesh_lib.Mesh, pin_rim: bool
) -> tuple[mesh_lib.Mesh, soundness.Soundness]:
  del base, pin_rim
  return mesh, soundness.report(mesh)


GEOMETRY = trainable.Geometry(
  keeps_faces=False,
  rate=lambda optimizer: optimizer.distance_rate,
  create=create,
  spread=_spread,
  form=_form,
  origins=lambda base, vertices: vertices,
  mesh=lambda base, offsets, values, bound: export(
    base.body, _fallen(base, offsets, bound), values
  ),
  energies=lambda base, formed, weights: energies(
    base.body, formed.change, weights
  ),
  largest_offset=lambda base, offsets, bound: jnp.max(
    jnp.abs(_fallen(base, offsets, bound))
  ),
  hold=_hold,
  watch=watch,
  finish=_finish,
)
