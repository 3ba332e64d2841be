"""Colours as a function of space: a multi-resolution hash grid and a small MLP.

Every level of the grid has a table of feature vectors; a point reads the eight
corners of its cell, interpolates, and the features of all levels go through
the network. Coarse levels have one row per corner, fine ones share rows by a
hash of the corner; the network sorts out collisions. Needs no uv map.

Source: Mueller et al., "Instant Neural Graphics Primitives with a
Multiresolution Hash Encoding" (2022), equations 2 to 4.

Shapes: `N` points, `L` levels, `T` rows of a table, `K` features of a row.
"""

from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt32
import numpy as np

from maskjax.render import textures
from maskjax.training import minimize

_PRIMES = (1, 2654435761, 805459861)
_CHANNELS = 3


class Sizes(NamedTuple):
  """Sizes of a field (static).

  Attributes:
    levels: number of grids.
    rows: rows of each table, a power of two.
    features: numbers per row.
    coarsest: cells across the box at the first level,
    finest: and at the last one.
    width: units of the hidden layer.
  """

  levels: int = 8
  rows: int = 2**13
  features: int = 2
  coarsest: int = 4
  finest: int = 96
  width: int = 32


@flax.struct.dataclass
class Field:
  """Parameters of a field of colours.

  Attributes:
    tables: features, by level and row.
    hidden: weights of the hidden layer.
    bias: biases of the hidden layer.
    out: weights of the last layer.
    out_bias: logits of the mean colour.
  """

  tables: Float[Array, 'l t k']
  hidden: Float[Array, 'lk w']
  bias: Float[Array, 'w']
  out: Float[Array, 'w 3']
  out_bias: Float[Array, '3']


class Box(NamedTuple):
  """The part of space that is coloured, cm; beyond, its border goes on."""

  low: tuple[float, float, float]
  high: tuple[float, float, float]


def bounding_box(
  points: Float[Array | np.ndarray, 'n 3'], *, margin: float = 0.1
) -> Box:
  """Return the box of points, larger by a part of its longest side.

  Args:
    points: what shall lie in it, cm (concrete, not traced).
    margin: how much of its longest side is added at each end.
  """
  points = np.asarray(points)
  low, high = points.min(0), points.max(0)
  extra = margin * float((high - low).max())
  return Box(
    low=tuple((low - extra).tolist()), high=tuple((high + extra).tolist())
  )


def create(rng: PRNGKeyArray, sizes: Sizes | None = None) -> Field:
  """Draw a field that is nearly grey.

  Args:
    rng: typed key, the source of the numbers.
    sizes: how many and how large the tables are; None for the default.

  Returns:
    Field.

  Raises:
    ValueError: rows that are no power of two.
  """
  sizes = Sizes() if sizes is None else sizes
  if sizes.rows < 1 or sizes.rows & (sizes.rows - 1):
    raise ValueError(f'a hash grid needs 2^n rows, got {sizes.rows}')
  tables, hidden, out = jax.random.split(rng, 3)
  inputs = sizes.levels * sizes.features
  scale = np.sqrt(2 / inputs), 0.1 * np.sqrt(1 / sizes.width)
  return Field(
    tables=1e-4
    * jax.random.normal(tables, (sizes.levels, sizes.rows, sizes.features)),
    hidden=scale[0] * jax.random.normal(hidden, (inputs, sizes.width)),
    bias=jnp.zeros(sizes.width),
    out=scale[1] * jax.random.normal(out, (sizes.width, _CHANNELS)),
    out_bias=jnp.zeros(_CHANNELS),
  )


def _rows(
  corner: Float[Array, '*n 3'], cells: int, rows: int
) -> UInt32[Array, '*n']:
  """Return the rows of a grid's corners in its table."""
  corner = corner.astype(jnp.uint32)
  x, y, z = (corner[..., i] for i in range(3))
  side = cells + 1
  if side**3 <= rows:
    return x + side * (y + side * z)
  # Equation 4: the exclusive or of the coordinates times primes, modulo T.
  hashed = x * np.uint32(_PRIMES[0])
  hashed ^= y * np.uint32(_PRIMES[1])
  hashed ^= z * np.uint32(_PRIMES[2])
  return hashed & np.uint32(rows - 1)


def encode(
  tables: Float[Array, 'l t k'],
  points: Float[Array, 'n 3'],
  sizes: Sizes | None = None,
) -> Float[Array, 'n lk']:
  """Read the features of points, interpolated within their cells.

  Args:
    tables: features of all levels.
    points: in [0, 1]^3; clipped to it.
    sizes: the sizes that the field was made with; None for the default.

  Returns:
    Features of all levels, the coarsest first.
  """
  sizes = Sizes() if sizes is None else sizes
  points = jnp.clip(points, 0.0, 1.0)
  # Equation 3: b, with b^(L - 1) = finest / coarsest.
  growth = (sizes.finest / sizes.coarsest) ** (1 / max(sizes.levels - 1, 1))
  features = []
  for number in range(sizes.levels):
    # Equation 2: N_l = floor(coarsest b^l); the summand is for rounding.
    cells = int(np.floor(sizes.coarsest * growth**number + 1e-6))
    place = points * cells
    low = jnp.minimum(jnp.floor(jax.lax.stop_gradient(place)), cells - 1)
    inner = place - low
    total = 0.0
    for corner in np.ndindex(2, 2, 2):
      offset = jnp.asarray(corner, points.dtype)[None]
      weight = jnp.prod(jnp.where(offset > 0, inner, 1.0 - inner), -1)
      row = _rows(low + offset, cells, sizes.rows)
      read = tables[number].at[row].get(mode='promise_in_bounds')
      total = total + weight[:, None] * read
    features.append(total)
  return jnp.concatenate(features, -1)


def colors(
  field: Field,
  points: Float[Array, '*p 3'],
  box: Box,
  sizes: Sizes | None = None,
) -> Float[Array, '*p 3']:
  """Compute the colours of points.

  Args:
    field: the tables and the network.
    points: positions, cm.
    box: the part of space that the grids span.
    sizes: the sizes that the field was made with; None for the default.

  Returns:
    Linear RGB in (0, 1).
  """
  flat = points.reshape(-1, 3)
  low, high = (jnp.asarray(v, flat.dtype)[None] for v in box)
  features = encode(field.tables, (flat - low) / (high - low), sizes)
  hidden = jax.nn.silu(features @ field.hidden + field.bias[None])
  logits = hidden @ field.out + field.out_bias[None]
  return jax.nn.sigmoid(logits).reshape(*points.shape[:-1], _CHANNELS)


def texture(
  field: Field,
  coordinates: Float[Array, 'v 3'],
  box: Box,
  sizes: Sizes | None = None,
) -> textures.Texture:
  """Make a texture of a field.

  Args:
    field: the tables and the network.
    coordinates: where each vertex lies in the field, cm: its place in the
      start shape, so that the colours move along with the surface.
    box: the part of space that the grids span.
    sizes: the sizes that the field was made with; None for the default.

  Returns:
    Texture.
  """

  def lookup(
    points: Float[Array, '*p 3'], slopes: Float[Array, '*p 3 2']
  ) -> Float[Array, '*p 3']:
    del slopes
    return colors(field, points, box, sizes)

  return textures.Texture(coordinates=coordinates, lookup=lookup)


def fit(
  field: Field,
  points: Float[Array | np.ndarray, 'n 3'],
  target: Float[Array | np.ndarray, 'n 3'],
  box: Box,
  sizes: Sizes | None = None,
  *,
  steps: int = 200,
  rate: float = 1e-2,
) -> Field:
  """Fit a field to the colours of points.

  Args:
    field: the parameters to begin with.
    points: positions, cm.
    target: colours of the points, linear RGB in [0, 1].
    box: the part of space that the grids span.
    sizes: the sizes that the field was made with; None for the default.
    steps: how many steps of Adam to take.
    rate: learning rate of the first step; it falls to 0 along a cosine.

  Returns:
    The fitted field.
  """

  def loss(
    field: Field, points: Float[Array, 'n 3'], target: Float[Array, 'n 3']
  ) -> Float[Array, '']:
    return jnp.mean((colors(field, points, box, sizes) - target) ** 2)

  fitted, _ = minimize.adam(
    loss,
    field,
    jnp.asarray(points),
    jnp.asarray(target),
    rates=rate,
    steps=steps,
    eps=1e-12,
  )
  return fitted
