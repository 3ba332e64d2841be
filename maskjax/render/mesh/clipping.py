"""Clipping of triangles at the near plane, with static shapes.

A triangle that the plane cuts leaves a triangle or a quadrangle, so every
face becomes two: its parts, or itself and nothing.

Shapes: `B` views, `V` vertices, `F` faces, `C` attributes, `N` = 3 + C.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

# Where the plane cuts, points lie this part beyond it, and so are drawn.
_BEYOND = 1e-5


def _cut(
  inside: Float[Array, 'b f n'], outside: Float[Array, 'b f n'], near: float
) -> Float[Array, 'b f n']:
  """Intersect the edges between two corners with the plane."""
  z, beyond = outside[..., 2], inside[..., 2]
  # Both branches of a `where` are differentiated: no division by 0 in either.
  crosses = (beyond > near) & (z <= near)
  along = (near - z) / jnp.where(crosses, beyond - z, 1.0)
  along = jnp.where(crosses, along, 0.0)[..., None]
  moved = outside + along * (inside - outside)
  return moved.at[..., 2].set(near * (1 + _BEYOND))


def clip(
  vertices: Float[Array, 'b v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
  attributes: Float[Array, 'b v c'],
  *,
  near: float,
) -> tuple[
  Float[Array, 'b 6*f 3'], Int[Array, '2*f 3'], Float[Array, 'b 6*f c']
]:
  """Cut faces at the near plane.

  Args:
    vertices: positions in the camera's frame, cm.
    faces: vertex indices of each triangle.
    attributes: numbers per vertex, linear on the faces.
    near: depth of the near plane, cm; what lies before it is not drawn.

  Returns:
    Vertices, faces and attributes of twice as many faces that share no
    vertices. Where there is no second part, its three corners are one
    point.
  """
  table = jnp.concatenate([vertices, attributes], -1)[:, faces]
  far = table[..., 2] > near
  count = jnp.sum(far, -1)
  # One corner beyond the plane leaves a triangle, two a quadrangle: that is two
  # triangles. Turn the corners such that the odd one out comes first.
  odd = jnp.where(count == 1, 1, 0)[..., None]
  first = jnp.argmax(far.astype(int) == odd, -1)
  turn = jnp.stack([first, first + 1, first + 2], -1) % 3
  a, b, c = jnp.moveaxis(jnp.take_along_axis(table, turn[..., None], -2), -2, 0)
  one = jnp.stack([a, _cut(a, b, near), _cut(a, c, near)], -2)
  from_b, from_c = _cut(b, a, near), _cut(c, a, near)
  two = jnp.stack([from_b, b, c], -2)
  rest = jnp.stack([from_b, c, from_c], -2)
  point = jnp.broadcast_to(table[..., :1, :], table.shape)
  kind = count[..., None, None]
  parts = (
    jnp.where(kind == 1, one, jnp.where(kind == 2, two, table)),
    jnp.where(kind == 2, rest, point),
  )
  cut = jnp.stack(parts, 2).reshape(table.shape[0], -1, table.shape[-1])
  index = jnp.arange(cut.shape[1], dtype=faces.dtype).reshape(-1, 3)
  return cut[..., :3], index, cut[..., 3:]
