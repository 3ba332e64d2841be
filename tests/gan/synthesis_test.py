import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import stylegan2, synthesis

CONFIG = stylegan2.StyleGAN2Config(
  z_dim=4, w_dim=6, channels=(5, 4), mapping_layers=1
)
MODEL = stylegan2.Generator(CONFIG)


@pytest.fixture(scope='module')
def variables():
  init = jax.jit(MODEL.init)
  variables = init(jax.random.key(0), jnp.ones((1, 4)), jnp.ones((1, 0)))
  strong = lambda path, x: (
    jnp.ones_like(x) if path[-1].key == 'noise_strength' else x
  )
  return jax.tree_util.tree_map_with_path(strong, variables)


def synthesize(variables, **options):
  run = lambda ws, shifts: MODEL.apply(
    variables, ws, shifts=shifts, method=MODEL.synthesize, **options
  )
  return jax.jit(run)


def test_shifts_are_offsets_of_affine_biases(variables):
  ws = jax.random.normal(jax.random.key(1), (2, CONFIG.num_ws, 6))
  shift = jnp.linspace(-1.0, 1.0, 5)
  run = synthesize(variables)
  plain, moved = run(ws, None), run(ws, {'b8': {'conv0': shift}})
  biased = jax.tree.map(lambda x: x, variables)
  affine = biased['params']['synthesis']['b8']['conv0']['affine']
  affine['bias'] = affine['bias'] + shift
  baked = synthesize(biased)(ws, None)
  np.testing.assert_allclose(moved.image, baked.image, atol=1e-5)
  np.testing.assert_allclose(
    moved.styles['b8']['conv0'],
    plain.styles['b8']['conv0'] + shift[None],
    atol=1e-6,
  )
  assert np.abs(moved.image - plain.image).max() > 1e-2


def test_noise_modes(variables):
  ws = jax.random.normal(jax.random.key(1), (1, CONFIG.num_ws, 6))
  images = [
    synthesize(variables, noise=noise, rngs=rngs)(ws, None).image
    for noise, rngs in (
      ('const', None),
      ('none', None),
      ('random', {'noise': jax.random.key(2)}),
      ('random', {'noise': jax.random.key(3)}),
    )
  ]
  for i, a in enumerate(images):
    for b in images[:i]:
      assert np.abs(a - b).max() > 1e-2


def test_shift_of_an_unknown_layer_is_an_error():
  with pytest.raises(ValueError, match='no styles named'):
    synthesis.shift({'b4': {}}, {'b64': {}})


def test_drawn_noise_is_each_samples_own():
  keys = jax.random.split(jax.random.key(0), 3)
  noise = synthesis.draw_noise(keys, (4, 4))
  assert jax.tree.map(lambda x: x.shape, noise) == {
    'b4': {'conv1': (3, 4, 4, 1)},
    'b8': {'conv0': (3, 8, 8, 1), 'conv1': (3, 8, 8, 1)},
  }
  last = synthesis.draw_noise(
    jax.random.split(jax.random.key(0), 3)[2:], (4, 4)
  )
  np.testing.assert_array_equal(last['b8']['conv1'][0], noise['b8']['conv1'][2])
