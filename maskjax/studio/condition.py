"""The condition of the bundled ControlNet: what it is shown of a shape.

The pictures that it learns from and the renders that it later judges are
stacked by the same function (patent [0110]).

Shapes: `b` pictures, `s` pixels a side.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

# Mask, height, and the three normals.
CONDITION_CHANNELS = 5


def condition_image(
  mask: Float[Array, '*b s s 1'],
  height: Float[Array, '*b s s 1'],
  normals: Float[Array, '*b s s 3'],
) -> Float[Array, '*b s s 5']:
  """Stack the ControlNet's condition: mask, height in [0, 1], view normals.

  Height and normals are zero outside the mask (patent [0110]); a condition
  that is not given is all zeros.
  """
  return jnp.concatenate([mask, height, normals], axis=-1)
