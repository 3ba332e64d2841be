"""Kinds of generators: one interface, and a third kind that keeps to it."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import (
  adversarial,
  checkpoints,
  fakes,
  kinds,
  stylegan2,
)
from tests.gan import small

CONFIG = adversarial.GANConfig(
  r1_every=1, path_every=1, blur_sigma=0.0, swap_end=None
)


@pytest.fixture(autouse=True)
def quick_compilation():
  # Programs that run once or twice are not worth optimising.
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientConfig(stylegan2.StyleGAN2Config):
  """A generator of one colour gradient."""

  def build(self):
    return Gradient(self)


class Gradient(nn.Module):
  """The third kind: a dense layer to the colours of two borders."""

  config: GradientConfig

  @nn.compact
  def __call__(self, z, c=None):
    del c
    ends = nn.Dense(6)(z).reshape(-1, 2, 1, 1, 3)
    part = jnp.linspace(0.0, 1.0, self.config.resolution)[None, :, None, None]
    image = ends[:, 0] * part + ends[:, 1] * (1 - part)
    side = self.config.resolution
    return jnp.broadcast_to(image, (z.shape[0], side, side, 3))


def generate(generator, variables, z, c, draws, **options):
  """Make images as in training."""
  del c, draws, options
  image = generator.apply(variables, z)
  return fakes.Images(image), z[:, None]


def stillness(context, state, params, rng):
  """Return a lazy loss: how far weights are from zero."""
  del context, rng
  value = sum(jnp.square(x).mean() for x in jax.tree.leaves(params))
  return value, state.path_mean


GRADIENT = dataclasses.replace(
  kinds.STYLEGAN2,
  name='gradient',
  config=GradientConfig,
  generate=generate,
  regularizer=kinds.Regularizer(
    name='stillness',
    loss=stillness,
    weight=lambda config: 1.0,
    period=lambda config: 1,
  ),
)


@pytest.fixture
def third(monkeypatch):
  # The row: before the kind that its config is a kind of.
  monkeypatch.setattr(kinds, 'KINDS', (GRADIENT, *kinds.KINDS))
  return GradientConfig(z_dim=8, w_dim=8, channels=(8, 8, 8))


def test_a_third_kind_is_trained_saved_and_loaded(third, tmp_path):
  state, step = small.training_of(
    CONFIG, generator=third, judged_by=small.SINGLE
  )
  batch = adversarial.GANBatch(small.batch_of(4).image)
  moved, metrics = jax.jit(step)(state, jax.random.key(2), batch)
  assert float(metrics['stillness']) > 0
  changed = jax.tree.map(
    lambda a, b: np.abs(a - b).max() > 0,
    moved.generator.params,
    state.generator.params,
  )
  assert all(jax.tree.leaves(changed))
  model = adversarial.average_model(third.build(), moved)
  checkpoints.save(tmp_path, {'G_ema': model})
  again = checkpoints.load(tmp_path)
  assert again.module == model.module
  jax.tree.map(
    np.testing.assert_array_equal,
    again.variables['params'],
    model.variables['params'],
  )


def test_kinds_are_found_by_their_config():
  assert kinds.of(small.EG3D.build()).name == 'eg3d'
  assert kinds.of(small.EG3D.build()).has_cameras
  assert kinds.of(small.STYLEGAN2.build()) is kinds.STYLEGAN2
  assert not kinds.STYLEGAN2.has_cameras
  assert kinds.find(small.SINGLE.build()) is None
  with pytest.raises(ValueError, match='Discriminator is no generator; there'):
    kinds.of(small.SINGLE.build())


@pytest.mark.parametrize('kind', kinds.KINDS, ids=lambda kind: kind.name)
def test_every_kind_has_what_a_training_asks_of_its_config(kind):
  config = kind.config()
  assert config.backbone.z_dim == 512
  assert config.output_side % 2 == 0
  assert (config.rendering_resolution is None) == (not kind.has_cameras)
  assert set(config.exported_filters) <= set(config.filter_owners)
