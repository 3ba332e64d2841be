"""Features at points of space, read from three planes.

Shapes: B scenes, P = 3 planes, R side of a plane, C features, N points.
Follows Chan et al., "Efficient Geometry-aware 3D GANs", CVPR 2022, section
3.1. Planes hold their features last, so that a bilinear sample reads four
contiguous rows of memory.
"""

import itertools
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.kernels import plane_reads

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
    points: coordinates in any unit.
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


def plane_positions(
  points: Float[Array, 'b n 3'],
  side: int,
  *,
  box: float = 1.0,
  plane_axes: PlaneAxes = 'eg3d',
) -> Float[Array, 'b 3 n 2']:
  """Return where points fall on the planes, in pixels.

  Args:
    points: in the unit of `box`.
    side: R, in pixels.
    box: side of the cube that the planes span, centred at the origin.
    plane_axes: 'eg3d', as in released models, or 'fixed'.

  Returns:
    Column and row on each plane, 0 at the centre of the first pixel.
  """
  return ((project(points, plane_axes) * (2 / box) + 1) * side - 1) / 2


def mean_features(
  planes: Float[Array, 'b 3 r r c'],
  points: Float[Array, 'b n 3'],
  *,
  box: float = 1.0,
  plane_axes: PlaneAxes = 'eg3d',
) -> Float[Array, 'b n c']:
  """Read the planes at points and average over the three.

  Args:
    planes: features of each scene's planes.
    points: in the unit of `box`.
    box: side of the cube that the planes span, centred at the origin.
    plane_axes: 'eg3d', as in released models, or 'fixed'.

  Returns:
    The mean of the three features of each point, each interpolated between
    four pixels; they fade to zero half a pixel outside of the planes.
    Differentiable once, by reverse mode.
  """
  side = planes.shape[2]
  positions = plane_positions(points, side, box=box, plane_axes=plane_axes)
  return plane_reads.mean(planes, positions)


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
  positions = ((points + 1) * size - 1) / 2
  low = jnp.floor(positions)
  part = positions - low
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
