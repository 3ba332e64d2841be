"""Features at points of space, read from three planes.

Shapes: B scenes, P = 3 planes, R side of a plane, C features, N points.
Follows Chan et al., "Efficient Geometry-aware 3D GANs", CVPR 2022, section
3.1. Planes hold their features last, so that a bilinear sample reads four
contiguous rows of memory.
"""

import itertools
from typing import Literal

from jax import Array
import jax.numpy as jnp
from jaxtyping import Float

# Which coordinates of a point are the column and the row of each plane. The
# third plane of the released EG3D repeats the second one, transposed: the
# authors keep this mistake because every released model depends on it.
PLANE_AXES = {
  'eg3d': ((0, 1), (0, 2), (2, 0)),
  'fixed': ((0, 1), (0, 2), (2, 1)),
}
PlaneAxes = Literal['eg3d', 'fixed']


def project(
  points: Float[Array, 'b n 3'], plane_axes: PlaneAxes = 'eg3d'
) -> Float[Array, 'b 3 n 2']:
  """Project points onto the planes.

  Args:
    points: any unit.
    plane_axes: 'eg3d', as in released models, or 'fixed'.

  Returns:
    Column and row coordinates on each plane, in the same unit.

  Raises:
    ValueError: unknown axes.
  """
  if plane_axes not in PLANE_AXES:
    raise ValueError(
      f'plane_axes={plane_axes!r} is not one of {sorted(PLANE_AXES)}'
    )
  axes = PLANE_AXES[plane_axes]
  return jnp.stack([points[..., pair] for pair in map(jnp.array, axes)], 1)


def _corner(rows, base, row, column, side):
  """Read one corner of the cells; zero outside of the plane."""
  inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
  clipped = (jnp.clip(index, 0, side - 1) for index in (row, column))
  i, j = (index.astype(jnp.int32) for index in clipped)
  values = rows.at[base + i * side + j].get(mode='promise_in_bounds')
  return values, inside


def sample(
  planes: Float[Array, 'b 3 r r c'],
  points: Float[Array, 'b n 3'],
  *,
  box: float = 1.0,
  plane_axes: PlaneAxes = 'eg3d',
  nearest: bool = False,
) -> Float[Array, 'b 3 n c']:
  """Read the planes at points.

  Args:
    planes: features.
    points: in the unit of `box`.
    box: side of the cube that the planes span, centred at the origin.
    plane_axes: see `project`.
    nearest: take the nearest pixel, rather than to interpolate between four.

  Returns:
    Features of each plane; they fade to zero half a pixel outside of it.
  """
  batch, count, side, _, channels = planes.shape
  rows = planes.reshape(-1, channels)
  places = project(points, plane_axes) * (2 / box)
  places = ((places + 1) * side - 1) / 2
  base = (jnp.arange(batch * count) * side**2).reshape(batch, count, 1)
  base = jnp.broadcast_to(base, places.shape[:-1])
  column, row = places[..., 0], places[..., 1]
  if nearest:
    values, inside = _corner(
      rows, base, jnp.round(row), jnp.round(column), side
    )
    return jnp.where(inside[..., None], values, 0.0)
  top, left = jnp.floor(row), jnp.floor(column)
  down, right = row - top, column - left
  total = 0.0
  for i, vertical in ((0, 1 - down), (1, down)):
    for j, horizontal in ((0, 1 - right), (1, right)):
      values, inside = _corner(rows, base, top + i, left + j, side)
      weight = jnp.where(inside, vertical * horizontal, 0.0)
      total = total + weight[..., None] * values
  return total


def sample_grid(
  grid: Float[Array, 'b z y x c'], points: Float[Array, 'b n 3']
) -> Float[Array, 'b n c']:
  """Read a volume at points, trilinearly.

  Args:
    grid: values, for example densities that were computed once.
    points: x, y, z in [-1, 1] from face to face of the volume.

  Returns:
    Values; they fade to zero half a cell outside of the volume.
  """
  batch, *sides, channels = grid.shape
  rows = grid.reshape(-1, channels)
  size = jnp.array(sides[::-1], points.dtype)[None, None]
  places = ((points + 1) * size - 1) / 2
  low = jnp.floor(places)
  part = places - low
  base = (jnp.arange(batch) * (rows.shape[0] // batch))[:, None]
  total = 0.0
  for corner in itertools.product((0, 1), repeat=3):
    step = jnp.array(corner, points.dtype)[None, None]
    cell = low + step
    inside = ((cell >= 0) & (cell < size)).all(-1)
    x, y, z = jnp.moveaxis(jnp.clip(cell, 0, size - 1), -1, 0).astype(int)
    index = base + (z * sides[1] + y) * sides[2] + x
    values = rows.at[index].get(mode='promise_in_bounds')
    weight = (step * part + (1 - step) * (1 - part)).prod(-1)
    total = total + jnp.where(inside, weight, 0.0)[..., None] * values
  return total
