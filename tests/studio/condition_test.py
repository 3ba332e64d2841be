"""The condition of the ControlNet: what is stacked, and in which order."""

import jax.numpy as jnp
import numpy as np

from maskjax.studio import condition


def test_mask_height_and_normals_are_stacked_in_this_order():
  mask = jnp.full((2, 4, 4, 1), 1.0)
  normals = jnp.broadcast_to(jnp.array([3.0, 4.0, 5.0]), (2, 4, 4, 3))
  stack = condition.condition_image(mask, 2.0 * mask, normals)
  assert stack.shape == (2, 4, 4, condition.CONDITION_CHANNELS)
  np.testing.assert_array_equal(stack[1, 2, 3], [1, 2, 3, 4, 5])
