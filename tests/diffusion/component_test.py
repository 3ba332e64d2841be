"""Folders of single networks: which class they hold, what they compute in.

How parameters are written and read is tested in diffusers_folder_test.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import clip, component
from tests.diffusion import clip_test

CONFIG = clip.ClipTextConfig.from_dict(clip_test.SMALL)
MODULE = clip.CLIPTextModel(CONFIG)


@pytest.fixture(scope='module')
def params():
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32),
    clip.parameter_shapes(CONFIG),
  )


@pytest.fixture
def folder(tmp_path, params):
  component.save(tmp_path, MODULE, params)
  return tmp_path


def rename(folder, **names):
  """Give config.json other class names, and no others."""
  path = folder / 'config.json'
  values = json.loads(path.read_text())
  for key in ('_class_name', 'architectures', 'model_type'):
    values.pop(key, None)
  path.write_text(json.dumps(values | names))


@pytest.mark.parametrize(
  'names',
  [
    {'_class_name': 'CLIPTextModel'},
    {'architectures': ['CLIPTextModel'], 'model_type': 'clip_text_model'},
    {'model_type': 'clip_text_model'},
  ],
)
def test_every_way_to_name_a_class_is_read(folder, params, names):
  rename(folder, **names)
  loaded = component.load(folder)
  assert loaded.module == MODULE
  jax.tree.map(np.testing.assert_array_equal, loaded.params, params)


@pytest.mark.parametrize(
  'names, words',
  [
    ({}, 'None'),
    ({'_class_name': 'FluxTransformer2DModel'}, "'FluxTransformer2DModel'"),
    ({'architectures': ['BertModel']}, "'BertModel'"),
    ({'architectures': []}, 'None'),
  ],
)
def test_an_unknown_class_gives_one_line_with_the_known_ones(
  folder, names, words
):
  rename(folder, **names)
  with pytest.raises(ValueError) as caught:
    component.load(folder)
  message = str(caught.value)
  assert message.startswith(str(folder)) and '\n' not in message
  assert words in message and 'UNet2DConditionModel' in message


def test_type_to_compute_in_leaves_the_parameters_and_the_folder_alone(folder):
  loaded = component.load(folder, dtype=jnp.bfloat16)
  leaves = jax.tree.leaves(loaded.params)
  assert {leaf.dtype for leaf in leaves} == {np.dtype('float32')}
  assert loaded.module == clip.CLIPTextModel(CONFIG, jnp.bfloat16)
  # The type belongs to a run, not to the folder.
  component.save(folder, loaded.module, loaded.params)
  assert component.load(folder).module == MODULE
