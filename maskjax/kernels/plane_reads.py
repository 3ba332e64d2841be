"""Reading three feature planes bilinearly at many positions, and back.

`mean` is what a generator spends its time on. The reads are those of
`bilinear` (XLA on a CPU, 8 scenes, 197k points: 14 ms against 101 ms for a
test of each corner); on a CPU the gradient adds rows in chunks that stay in
the cache (50 ms against 95 ms, and at 256x256 planes 47 MB of updates rather
than 1.3 GB).

Shapes: B scenes, 3 planes, R side of a plane, C features, N positions. A
position is a column and a row in pixels, 0 at the centre of the first pixel.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from maskjax.kernels import bilinear

# Positions whose gradients are added at a time on a CPU.
_CHUNK = 4096


def each(
  planes: Float[Array, 'b 3 r r c'],
  positions: Float[Array, 'b 3 n 2'],
  *,
  nearest: bool = False,
) -> Float[Array, 'b 3 n c']:
  """Read each plane at its positions, corner by corner.

  Args:
    planes: features of each scene's planes.
    positions: columns and rows in pixels.
    nearest: take the nearest pixel, rather than to interpolate between four.

  Returns:
    Features of each plane; they fade to zero half a pixel outside of it.
  """
  batch, count, *image = planes.shape
  flat = bilinear.read_plain(
    planes.reshape(-1, *image),
    positions.reshape(-1, *positions.shape[2:]),
    nearest=nearest,
  )
  return flat.reshape(batch, count, *flat.shape[1:])


def mean_plain(
  planes: Float[Array, 'b 3 r r c'], positions: Float[Array, 'b 3 n 2']
) -> Float[Array, 'b n c']:
  """Return the formula of `mean`."""
  return each(planes, positions).mean(1)


def _cells(positions: Float[Array, 'b 3 n 2'], side: int) -> bilinear.Cells:
  """Find the cells that positions fall on, counted over a scene's planes."""
  at = bilinear.cells(positions[..., 0], positions[..., 1], (side, side))
  first = jnp.arange(3, dtype=jnp.int32)[None, :, None] * (side + 2) ** 2
  return at._replace(corner=at.corner + first)


def _read(
  planes: Float[Array, 'b 3 r r c'], positions: Float[Array, 'b 3 n 2']
) -> Float[Array, 'b n c']:
  """Return the mean over the planes."""
  batch, _, side, _, channels = planes.shape
  wide = side + 2
  border = ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0))
  rows = jnp.pad(planes, border).reshape(-1, channels)
  at = _cells(positions, side)
  first = jnp.arange(batch, dtype=jnp.int32)[:, None, None] * 3 * wide**2
  at = at._replace(corner=at.corner + first)
  total: Array | float = 0.0
  for i in range(3):
    plane = bilinear.Cells(*(part[:, i] for part in at))
    total = bilinear.blend(rows, plane, wide, onto=total)
  return total / 3


def _scatter(
  corner: Int[Array, '3 n'],
  right: Float[Array, '3 n'],
  down: Float[Array, '3 n'],
  g: Float[Array, 'n c'],
  *,
  side: int,
) -> Float[Array, '3 r r c']:
  """Add gradients of one scene's positions to its planes, chunk by chunk."""
  wide = side + 2
  steps = jnp.array([0, 1, wide, wide + 1], jnp.int32)[None, :, None]
  surplus = -g.shape[0] % _CHUNK
  # Added positions count nothing: their gradients are zero.
  pad = lambda x, axis: jnp.pad(
    x, [(0, surplus if i == axis else 0) for i in range(x.ndim)]
  )
  corner, right, down, g = (
    pad(x, axis) for x, axis in ((corner, 1), (right, 1), (down, 1), (g, 0))
  )

  def body(i, sums):
    cut = functools.partial(
      jax.lax.dynamic_slice_in_dim, start_index=i * _CHUNK, slice_size=_CHUNK
    )
    k, x, y = (cut(part, axis=1) for part in (corner, right, down))
    weights = [(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x]
    updates = jnp.stack(weights, 1)[..., None] * cut(g)[None, None]
    index = (k[:, None] + steps).reshape(-1)
    updates = updates.reshape(index.size, -1)
    return sums.at[index].add(updates, mode='promise_in_bounds')

  sums = jnp.zeros((3 * wide**2, g.shape[1]), g.dtype)
  sums = jax.lax.fori_loop(0, g.shape[0] // _CHUNK, body, sums)
  return sums.reshape(3, wide, wide, -1)[:, 1:-1, 1:-1]


def _to_planes_on_cpu(planes, positions, g):
  """Return the gradient to the planes, in loops of their own for each scene.

  XLA:CPU runs these side by side.
  """
  side = planes.shape[2]
  corner, right, down = _cells(positions, side)
  return jnp.stack(
    [
      _scatter(corner[i], right[i], down[i], g[i] / 3, side=side)
      for i in range(planes.shape[0])
    ]
  )


def _to_planes(planes, positions, g):
  """Return the gradient to the planes, as jax derives it."""
  return jax.vjp(lambda x: _read(x, positions), planes)[1](g)[0]


@jax.custom_vjp
def mean(
  planes: Float[Array, 'b 3 r r c'], positions: Float[Array, 'b 3 n 2']
) -> Float[Array, 'b n c']:
  """Read three planes at their positions and average over them.

  Args:
    planes: features of each scene's planes.
    positions: columns and rows in pixels.

  Returns:
    The mean of what `each` returns. Differentiable once, by reverse mode.
  """
  return _read(planes, positions)


def _forward(planes, positions):
  return _read(planes, positions), (planes, positions)


def _backward(inputs, g):
  planes, positions = inputs
  (to_positions,) = jax.vjp(lambda x: _read(planes, x), positions)[1](g)
  to_planes = jax.lax.platform_dependent(
    planes, positions, g, cpu=_to_planes_on_cpu, default=_to_planes
  )
  return to_planes, to_positions


mean.defvjp(_forward, _backward)
