import json
import warnings

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from maskjax.diffusion import clip, component, controlnet, unet, vae
from maskjax.weights import diffusers_folder, keymap
from tests.diffusion import (
  clip_test,
  controlnet_test,
  torch_nets,
  unet_test,
  vae_test,
)

NETWORKS = {
  'UNet2DConditionModel': unet.UNet2DConditionModel(unet_test.small_config()),
  'ControlNetModel': controlnet.ControlNetModel(
    controlnet.ControlNetConfig.from_dict(controlnet_test.SHARED)
  ),
  'AutoencoderKL': vae.AutoencoderKL(vae.VaeConfig.from_dict(vae_test.SMALL)),
  'CLIPTextModel': clip.CLIPTextModel(
    clip.ClipTextConfig.from_dict(clip_test.SMALL)
  ),
}
SHAPES = {
  'UNet2DConditionModel': unet.parameter_shapes,
  'ControlNetModel': controlnet.parameter_shapes,
  'AutoencoderKL': vae.parameter_shapes,
  'CLIPTextModel': clip.parameter_shapes,
}


def random_params(name, seed=0):
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32),
    SHAPES[name](NETWORKS[name].config),
  )


def assert_trees_equal(left, right):
  left, right = dict(keymap.walk(left)), dict(keymap.walk(right))
  assert left.keys() == right.keys()
  for path in left:
    np.testing.assert_array_equal(left[path], right[path])


@pytest.fixture
def clip_folder(tmp_path):
  component.save(
    tmp_path, NETWORKS['CLIPTextModel'], random_params('CLIPTextModel')
  )
  return tmp_path


def rewrite(folder, change, name='model.safetensors'):
  """Apply a function to the state dict of a folder."""
  tensors = safetensors.numpy.load_file(folder / name)
  safetensors.numpy.save_file(change(tensors), folder / name)


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
def test_round_trip(tmp_path, name, dtype):
  params = random_params(name)
  component.save(tmp_path / 'part', NETWORKS[name], params, dtype=dtype)
  loaded = component.load(tmp_path / 'part')
  assert loaded.module == NETWORKS[name]
  expected = jax.tree.map(
    lambda leaf: leaf.astype(dtype).astype(np.float32), params
  )
  assert_trees_equal(loaded.params, expected)


@pytest.mark.parametrize('size', ['10GB', '60KB'])
@pytest.mark.parametrize('name', NETWORKS)
def test_pytorch_opens_what_is_written(tmp_path, name, size):
  library = 'transformers' if name == 'CLIPTextModel' else 'diffusers'
  torch, module = torch_nets.load('torch'), torch_nets.load(library)
  params = random_params(name)
  component.save(tmp_path, NETWORKS[name], params, max_shard_size=size)
  assert any(tmp_path.glob('*.index.json')) == (size == '60KB')
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    peer, report = getattr(module, name).from_pretrained(
      tmp_path, output_loading_info=True
    )
  assert not any(report.values()), report
  assert peer.dtype == torch.float32
  assert_trees_equal(torch_nets.params(peer), params)


@pytest.mark.parametrize('name', NETWORKS)
def test_reads_what_pytorch_writes(tmp_path, name):
  library = 'transformers' if name == 'CLIPTextModel' else 'diffusers'
  module = torch_nets.load(library)
  config = NETWORKS[name].config

  def make():
    if name == 'CLIPTextModel':
      return module.CLIPTextModel(module.CLIPTextConfig(**clip_test.SMALL))
    values = config.to_dict()
    del values['_class_name']
    return getattr(module, name)(**values)

  peer = torch_nets.build(make)
  peer.save_pretrained(tmp_path)
  loaded = component.load(tmp_path)
  assert loaded.module.config == config
  assert_trees_equal(loaded.params, torch_nets.params(peer))


def test_old_clip_prefix_and_buffer_are_read(clip_folder):
  params = component.load(clip_folder).params
  rewrite(
    clip_folder,
    lambda tensors: {
      'text_model.embeddings.position_ids': np.arange(16)[None],
      **{f'text_model.{key}': value for key, value in tensors.items()},
    },
  )
  assert_trees_equal(component.load(clip_folder).params, params)


def test_old_attention_names_of_the_autoencoder_are_read(tmp_path):
  name = 'diffusion_pytorch_model.safetensors'
  component.save(
    tmp_path, NETWORKS['AutoencoderKL'], random_params('AutoencoderKL')
  )
  params = component.load(tmp_path).params
  old = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value'}
  old['to_out.0'] = 'proj_attn'

  def rename(tensors):
    renamed = {}
    for key, value in tensors.items():
      for new_name, old_name in old.items():
        key = key.replace(f'.{new_name}.', f'.{old_name}.')
      renamed[key] = value
    assert renamed.keys() != tensors.keys()
    return renamed

  rewrite(tmp_path, rename, name)
  assert_trees_equal(component.load(tmp_path).params, params)


def test_bfloat16_is_read(clip_folder):

  def cast(tensors):
    kind = ml_dtypes.bfloat16
    return {key: value.astype(kind) for key, value in tensors.items()}

  rewrite(clip_folder, cast)
  _, params = diffusers_folder.read_component(clip_folder)
  leaf = params['final_layer_norm']['scale']
  assert leaf.dtype == np.float32
  _, params = diffusers_folder.read_component(clip_folder, dtype=None)
  np.testing.assert_array_equal(
    params['final_layer_norm']['scale'].astype(np.float32), leaf
  )


def test_half_precision_variant_is_found(clip_folder):
  params = component.load(clip_folder).params
  path = clip_folder / 'model.safetensors'
  path.rename(clip_folder / 'model.fp16.safetensors')
  assert_trees_equal(component.load(clip_folder).params, params)


def one_line(folder):
  with pytest.raises(ValueError) as caught:
    component.load(folder)
  message = str(caught.value)
  assert str(folder) in message
  assert '\n' not in message
  return message


def test_parameters_that_do_not_fit_are_named(clip_folder):
  def change(tensors):
    tensors['final_layer_norm.wings'] = np.zeros(2, np.float32)
    tensors['final_layer_norm.weight'] = np.zeros(7, np.float32)
    del tensors['encoder.layers.1.mlp.fc1.bias']
    return tensors

  rewrite(clip_folder, change)
  message = one_line(clip_folder)
  assert '1 missing (encoder.layers.1.mlp.fc1.bias)' in message
  assert '1 unused (final_layer_norm.wings)' in message
  assert 'final_layer_norm.weight is (7,), not (48,)' in message


def test_two_names_of_one_parameter_are_refused(clip_folder):
  def change(tensors):
    key = 'final_layer_norm.bias'
    return {**tensors, f'text_model.{key}': tensors[key]}

  rewrite(clip_folder, change)
  with pytest.raises(ValueError, match='under two names'):
    component.load(clip_folder)


def test_broken_folders_give_one_line(clip_folder, tmp_path):
  assert 'no such folder' in one_line(tmp_path / 'nowhere')
  weights = clip_folder / 'model.safetensors'
  content = weights.read_bytes()
  for broken in (b'', content[:5], content[:-100], b'\xff' * 50):
    weights.write_bytes(broken)
    assert 'not a whole safetensors file' in one_line(clip_folder)
  weights.unlink()
  assert 'no diffusion_pytorch_model.safetensors' in one_line(clip_folder)
  (clip_folder / 'pytorch_model.bin').touch()
  assert 'safe_serialization' in one_line(clip_folder)
  config = clip_folder / 'config.json'
  values = json.loads(config.read_text())
  config.write_text(json.dumps({**values, 'hidden_act': 'relu'}))
  assert "hidden_act='relu'" in one_line(clip_folder)
  config.write_text(json.dumps({'_class_name': 'Transformer2DModel'}))
  assert "'Transformer2DModel'" in one_line(clip_folder)
  config.write_text('[1]')
  assert 'no JSON object' in one_line(clip_folder)
  config.write_text('{"a": ')
  assert 'not valid JSON' in one_line(clip_folder)
  config.unlink()
  assert 'no config.json' in one_line(clip_folder)


def test_what_a_type_cannot_hold_is_refused_and_nothing_changes(clip_folder):
  before = {path: path.read_bytes() for path in clip_folder.iterdir()}
  params = random_params('CLIPTextModel', seed=1)
  params['final_layer_norm']['scale'][0] = 1e6
  module = NETWORKS['CLIPTextModel']
  with pytest.raises(ValueError, match=r'final_layer_norm\.weight.*float32'):
    component.save(clip_folder, module, params, dtype='float16')
  params['final_layer_norm']['scale'][0] = np.nan
  with pytest.raises(ValueError, match='not finite as float32'):
    component.save(clip_folder, module, params)
  with pytest.raises(ValueError, match='int8'):
    component.save(clip_folder, module, params, dtype='int8')
  assert {p: p.read_bytes() for p in clip_folder.iterdir()} == before


def test_writing_leaves_no_temporary_files(clip_folder):
  names = sorted(path.name for path in clip_folder.iterdir())
  assert names == ['config.json', 'model.safetensors']


def test_same_parameters_give_the_same_bytes(tmp_path):
  for name in ('a', 'b'):
    component.save(
      tmp_path / name,
      NETWORKS['CLIPTextModel'],
      random_params('CLIPTextModel'),
    )
  for path in (tmp_path / 'a').iterdir():
    assert path.read_bytes() == (tmp_path / 'b' / path.name).read_bytes()
