import json
import pathlib

import jax
import numpy as np
import pytest

from maskjax.gan import (
  discriminator,
  eg3d,
  model as model_lib,
  restore,
  state_configs,
)
from tests.gan.parity import check, recipe

FOLDER = pathlib.Path(__file__).parent / 'goldens'


@pytest.fixture(scope='module')
def meta():
  with np.load(FOLDER / 'T_forward.npz') as content:
    return json.loads(str(content['meta']))


@pytest.fixture(scope='module')
def state(meta):
  return recipe.make_state(
    meta['seed'], meta['G_keys'], decoder_lr_multiplier=0.5
  )


@pytest.mark.parametrize('name', ['S_forward', 'T_forward', 'U_forward'])
def test_export_gives_back_every_array(name):
  golden = check.golden_rows.load(FOLDER / f'{name}.npz')
  for part, load in (('G', check.load_generator), ('D', load_judge)):
    model = load(FOLDER, golden)
    state = check.load_state(FOLDER, golden, part)
    exported = restore.export(model)
    assert set(exported) == set(golden.meta[f'{part}_keys'])
    for key, value in exported.items():
      np.testing.assert_array_equal(value, state[key])


def load_judge(folder, golden):
  state = check.load_state(folder, golden, 'D')
  return restore.restore(state_configs.discriminator_config(state), state)


def test_full_size_has_the_reference_s_parameters():
  shapes = lambda config: model_lib.variable_shapes(config)['params']
  count = lambda tree: sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))
  assert count(shapes(eg3d.EG3DConfig())) == 30_662_136
  config = discriminator.DiscriminatorConfig(image_channels=6, c_dim=25)
  assert count(shapes(config)) == 31_359_744


def test_missing_and_misshapen_arrays_are_named(meta, state):
  options = meta['rendering_kwargs']
  config = state_configs.eg3d_config(state, options)
  cut = dict(state)
  del cut['backbone.synthesis.b8.conv0.bias']
  with pytest.raises(ValueError, match=r'b8\.conv0\.bias'):
    restore.restore(config, cut)
  with pytest.raises(ValueError, match=r'unknown, first extra'):
    restore.restore(config, {**state, 'extra': np.zeros(1)})
  bent = {**state, 'decoder.net.0.bias': np.zeros(3)}
  with pytest.raises(ValueError, match=r'decoder\.net\.0\.bias has the shape'):
    restore.restore(config, bent)
  bent = {**state, 'backbone.synthesis.b4.resample_filter': np.ones((4, 4))}
  with pytest.raises(ValueError, match='is not the filter'):
    restore.restore(config, bent)
