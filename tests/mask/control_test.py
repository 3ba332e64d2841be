"""What ControlNets of each kind are shown of a render."""

import types

import flax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import model as model_lib
from maskjax.mask import control
from maskjax.render import renderer

# A model of nothing but ControlNets is none that annotations allow.
pytestmark = pytest.mark.usefixtures('unchecked')


def model(*channels):
  """Return a model of nothing but ControlNets of so many channels."""
  networks = {
    f'controlnet_{i}' if i else 'controlnet': types.SimpleNamespace(
      config=types.SimpleNamespace(conditioning_channels=count)
    )
    for i, count in enumerate(channels)
  }
  return model_lib.DiffusionModel(
    params={},
    schedule=None,
    networks=flax.core.freeze(networks),
    tokenizer=None,
    sample_size=2,
    pixel_unshuffle=1,
  )


def rendering():
  """Two pixels: a slope to the left, and the background."""
  normals = np.zeros((1, 1, 2, 3), np.float32)
  normals[0, 0, 0] = (-0.6, 0.0, 0.8)
  alpha = np.array([1.0, 0.0], np.float32).reshape(1, 1, 2, 1)
  return renderer.Rendering(
    rgb=jnp.zeros((1, 1, 2, 3)),
    alpha=jnp.asarray(alpha),
    normals=jnp.asarray(normals),
    height=jnp.asarray(0.25 * alpha),
    depth=jnp.zeros((1, 1, 2, 1)),
  )


def test_channels_tell_what_is_shown():
  assert control.shown(model(5, 3)) == ('stack', 'normals')
  assert control.shown(model(3, 3), 'height, mask') == ('height', 'mask')
  assert control.shown(model()) == ()


@pytest.mark.parametrize(
  'channels, names, words',
  [
    ((3, 3), 'mask', '1 names for 2'),
    ((3,), 'edges', "'edges' is not one of"),
    ((3,), 'stack', "'stack' has 5 channels, the ControlNet takes 3"),
    ((1,), '', "'normals' has 3 channels"),
  ],
)
def test_names_that_do_not_fit_give_one_line(channels, names, words):
  with pytest.raises(ValueError, match=words):
    control.shown(model(*channels), names)


def test_pictures_of_a_render():
  names = ('stack', 'normals', 'height', 'mask')
  stack, normals, height, mask = control.of_rendering(
    model(5, 3, 3, 1), names, rendering(), height=False
  )
  np.testing.assert_allclose(stack[0, 0, 0], [1, 0, -0.6, 0, 0.8])
  # A slope to the left is red; the background faces the viewer.
  np.testing.assert_allclose(normals[0, 0, 0], [0.8, 0.5, 0.9], atol=1e-6)
  np.testing.assert_allclose(normals[0, 0, 1], [0.5, 0.5, 1.0], atol=1e-6)
  np.testing.assert_allclose(height[0, 0], [[0.25] * 3, [0.0] * 3])
  np.testing.assert_allclose(mask[0, 0], [[1.0], [0.0]])
