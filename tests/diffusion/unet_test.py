import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import unet
from tests.diffusion import torch_nets

VARIANTS = {
  'sd1': torch_nets.TWO_BLOCKS,
  'sd2': {
    **torch_nets.SMALL,
    'use_linear_projection': True,
    'attention_head_dim': [2, 3, 8],
    'upcast_attention': True,
  },
  'inpainting': {
    **torch_nets.TWO_BLOCKS,
    'in_channels': 9,
    'flip_sin_to_cos': False,
    'freq_shift': 1,
    'norm_eps': 1e-6,
  },
  'deep': {
    **torch_nets.ONE_BLOCK,
    'layers_per_block': [2],
    'transformer_layers_per_block': [2],
  },
  'upscaler': {
    **torch_nets.TWO_BLOCKS,
    'in_channels': 7,
    'only_cross_attention': [True, False],
    'down_block_types': ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
    'up_block_types': ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
    'num_class_embeds': 10,
    'time_embedding_dim': 48,
    'time_cond_proj_dim': 6,
    'center_input_sample': True,
  },
}
# The third's does not halve evenly.
SIZES = {
  'sd1': (16, 16),
  'sd2': (16, 8),
  'inpainting': (13, 18),
  'deep': (4, 4),
  'upscaler': (8, 8),
}


def inputs(config, *, size=(16, 16), seed=0):
  rng = np.random.default_rng(seed)

  def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)

  sample = normal(2, *size, config.in_channels)
  text = normal(2, 7, config.cross_attention_dim)
  return sample, np.array([3, 701]), text


@pytest.mark.parametrize('name', VARIANTS)
def test_equals_pytorch(name):
  torch, diffusers = (
    torch_nets.load('torch'),
    torch_nets.load('diffusers'),
  )
  peer = torch_nets.build(
    lambda: diffusers.UNet2DConditionModel(**VARIANTS[name])
  )
  config = unet.UNetConfig.from_dict(dict(peer.config))
  params = torch_nets.params(peer)
  assert torch_nets.shapes(params) == torch_nets.shapes(
    unet.parameter_shapes(config)
  )
  sample, timesteps, text = inputs(config, size=SIZES[name])
  labels, theirs_too = {}, {}
  if name == 'upscaler':
    guidance = np.random.default_rng(1).random((2, 6), np.float32)
    labels = {'class_labels': np.array([3, 9]), 'guidance': guidance}
    theirs_too = {
      'class_labels': torch.tensor([3, 9]),
      'timestep_cond': torch.tensor(guidance),
    }
  with torch.no_grad():
    theirs = peer(
      torch_nets.to_torch(sample),
      torch.tensor(timesteps),
      torch.tensor(text),
      **theirs_too,
    ).sample
  ours = jax.jit(unet.UNet2DConditionModel(config).apply)(
    {'params': params}, sample, timesteps, text, **labels
  )
  error = torch_nets.relative_l2(ours, torch_nets.from_torch(theirs))
  print(f'unet {name}: {error:.2e}')
  assert error <= torch_nets.RELATIVE_L2


def _torch_gradients(peer, arrays, weights, dtype):
  """Return PyTorch's gradients of a weighted sum of the output, by path."""
  torch = torch_nets.load('torch')
  sample, timesteps, text = arrays
  peer = peer.to(dtype)
  peer.zero_grad()
  out = peer(
    torch_nets.to_torch(sample).to(dtype),
    torch.tensor(timesteps),
    torch.tensor(text).to(dtype),
  ).sample
  (out * torch_nets.to_torch(weights).to(dtype)).sum().backward()
  return dict(
    torch_nets.keymap.walk(
      torch_nets.keymap.from_torch(
        {name: p.grad.numpy() for name, p in peer.named_parameters()}
      )
    )
  )


def test_gradients_equal_pytorch():
  torch, diffusers = (
    torch_nets.load('torch'),
    torch_nets.load('diffusers'),
  )
  peer = torch_nets.build(
    lambda: diffusers.UNet2DConditionModel(
      **{**torch_nets.TWO_BLOCKS, 'mid_block_type': None}
    )
  )
  config = unet.UNetConfig.from_dict(dict(peer.config))
  arrays = inputs(config)
  sample, timesteps, text = map(jnp.asarray, arrays)
  weights = inputs(config, seed=1)[0]

  def loss(params):
    out = unet.UNet2DConditionModel(config).apply(
      {'params': params}, sample, timesteps, text
    )
    return jnp.sum(out * weights)

  found = jax.jit(jax.grad(loss))(torch_nets.params(peer))
  found = dict(torch_nets.keymap.walk(found))
  theirs = _torch_gradients(peer, arrays, weights, torch.float32)
  exact = _torch_gradients(peer, arrays, weights, torch.float64)
  total = np.sqrt(sum(np.sum(np.square(g)) for g in exact.values()))

  def error(gradients, path):
    # Relative to the tensor itself, or to the whole where it is nearly 0
    # (biases right before a normalisation).
    scale = max(np.linalg.norm(exact[path]), 1e-3 * total)
    return np.linalg.norm(gradients[path] - exact[path]) / scale

  assert found.keys() == exact.keys()
  # What float32 costs depends on the processor; PyTorch pays it, too.
  noise = max(error(theirs, path) for path in exact)
  for path in exact:
    assert error(found, path) <= 4 * noise, path


def small_config(**values):
  return unet.UNetConfig.from_dict({**torch_nets.SMALL, **values})


@pytest.fixture(scope='module')
def network():
  """Return a small network, its parameters and a batch."""
  config = unet.UNetConfig.from_dict(torch_nets.TWO_BLOCKS)
  params = torch_nets.random_params(unet.parameter_shapes(config))
  batch = tuple(map(jnp.asarray, inputs(config)))
  return unet.UNet2DConditionModel(config), {'params': params}, batch


def test_residuals_reach_every_skip_and_the_middle(network):
  module, variables, (sample, _, text) = network
  timesteps = np.array([5, 5])
  apply = jax.jit(module.apply)
  plain = apply(variables, sample, 5, text)  # One timestep serves them all.
  shapes = ((16, 16), (16, 16), (8, 16), (8, 32))
  zeros = tuple(np.zeros((2, s, s, c), np.float32) for s, c in shapes)
  middle = np.zeros((2, 8, 8, 32), np.float32)

  def change(down, mid):
    down = tuple(np.asarray(skip, np.float32) for skip in down)
    out = apply(variables, sample, timesteps, text, down, mid)
    return np.abs(out - plain).max()

  assert change(zeros, middle) < 1e-6
  for i in range(len(zeros)):
    down = list(zeros)
    down[i] = np.random.default_rng(i).standard_normal(zeros[i].shape)
    assert change(down, middle) > 1e-4, i
  middle[:, 2] = 1
  assert change(zeros, middle) > 1e-4


def test_recomputing_changes_no_gradient(network):
  module, variables, (sample, timesteps, text) = network

  def loss(sample, remat):
    out = module.clone(remat=remat).apply(variables, sample, timesteps, text)
    return jnp.sum(out**2)

  gradient = jax.jit(jax.grad(loss), static_argnums=1)
  ours, plain = gradient(sample, True), gradient(sample, False)
  assert torch_nets.relative_l2(ours, plain) < 1e-5


def test_bfloat16_is_near_float32(network):
  module, variables, batch = network
  half = unet.UNet2DConditionModel(module.config, jnp.bfloat16)
  out = jax.jit(half.apply)(variables, *batch)
  assert out.dtype == jnp.float32
  error = torch_nets.relative_l2(out, jax.jit(module.apply)(variables, *batch))
  assert 1e-4 < error < 5e-2


def test_config_round_trip_and_hash():
  config = small_config(attention_head_dim=[2, 3, 8])
  assert unet.UNetConfig.from_dict(config.to_dict()) == config
  assert hash(config) == hash(dataclasses.replace(config))
  assert config.to_dict()['block_out_channels'] == [32, 48, 64]


@pytest.mark.parametrize(
  'values, message',
  [
    ({'addition_embed_type': 'text_time'}, "addition_embed_type='text_time'"),
    ({'wings': 2}, 'wings=2'),
    ({'up_block_types': ['AttnUpBlock2D'] * 3}, 'AttnUpBlock2D'),
    ({'up_block_types': ['UpBlock2D']}, '1 up_block_types for 3'),
  ],
)
def test_unsupported_config_is_named(values, message):
  with pytest.raises(ValueError, match=message):
    small_config(**values)


def test_views_of_a_thing_see_each_other_and_no_other_thing(network):
  module, variables, (sample, t, text) = network
  sample = jnp.concatenate([sample, -sample])
  t, text = jnp.concatenate([t[:1]] * 4), jnp.concatenate([text] * 2)

  @jax.jit
  def run(sample, text):
    return module.clone(views=2).apply(variables, sample, t, text)

  alone = jax.jit(module.apply)(variables, sample, t, text)
  joined = run(sample, text)
  scale = float(jnp.abs(joined).max())
  assert float(jnp.abs(joined - alone).max()) > 1e-4 * scale
  # The order of the views of a group does not matter; sums in another order.
  swap = jnp.array([1, 0, 3, 2])
  swapped = run(sample[swap], text[swap])
  np.testing.assert_allclose(swapped, joined[swap], atol=1e-5 * scale)
  # Another second group changes nothing of the first.
  other = run(sample.at[2:].multiply(0.5), text)
  np.testing.assert_array_equal(other[:2], joined[:2])
  assert float(jnp.abs(other[2:] - joined[2:]).max()) > 1e-4 * scale
  # Copies of one view see nothing new in each other.
  twice = run(sample[jnp.array([0, 0, 1, 1])], text[jnp.array([0, 0, 1, 1])])
  np.testing.assert_allclose(twice[0], alone[0], atol=1e-5 * scale)
