"""EG3D's super-resolution: its kinds, its sizes, and what drives it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import model as model_lib, superresolution


@pytest.mark.parametrize(
  ('kind', 'side', 'blocks'),
  [('8XDC', 32, (16, 32)), ('2X', 16, (8, 16)), ('4X', 16, (8, 16))],
)
def test_sides_of_the_blocks(kind, side, blocks):
  config = superresolution.SuperResolutionConfig(
    kind=kind, input_resolution=8, channels=(5, 4)
  )
  assert config.output_side == side
  module = superresolution.SuperResolution(config, 6)
  features = jnp.ones((2, 8, 8, 6))

  init = lambda self, ws: self(features, self.styles(ws))
  ws = jax.random.normal(jax.random.key(1), (2, 3, 7))

  @jax.jit
  def run(ws):
    variables = module.init(jax.random.key(0), ws, method=init)
    styles = model_lib.run(variables, module.styles, ws)
    # Only the last copy of w counts.
    other = model_lib.run(variables, module.styles, ws.at[:, :2].add(1.0))
    return styles, other, module.apply(variables, features, styles)

  styles, other, (image, first) = run(ws)
  assert first.shape == (2, blocks[0], blocks[0], 3)
  assert image.shape == (2, blocks[1], blocks[1], 3)
  jax.tree.map(np.testing.assert_array_equal, styles, other)


def test_usual_sizes_are_those_of_the_kind():
  config = superresolution.SuperResolutionConfig()
  assert (config.input_side, config.features) == (128, (256, 128))
  assert config.output_side == 512
  small = superresolution.SuperResolutionConfig(kind='2X')
  assert (small.input_side, small.features) == (64, (128, 64))


def test_some_kinds_shrink_their_input():
  large = superresolution.SuperResolutionConfig(
    kind='2X', input_resolution=8, channels=(5, 4)
  )
  assert large.resizes(16) and large.resizes(4) and not large.resizes(8)
  strict = superresolution.SuperResolutionConfig(
    kind='4X', input_resolution=8, channels=(5, 4)
  )
  assert strict.resizes(4)
  with pytest.raises(ValueError, match='at most 8x8, got 16x16'):
    strict.resizes(16)
