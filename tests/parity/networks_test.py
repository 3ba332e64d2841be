"""The comparison with PyTorch, on a tiny model that PyTorch wrote."""

import math
import os
import pathlib
import shutil
import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest
import safetensors.numpy

from maskjax.diffusion import component, tokenizer as tokenizer_lib
from maskjax.parity import folders, networks as network_parity
from maskjax.weights import bundled
from tests.diffusion import torch_nets as tiny

_ROOT = pathlib.Path(__file__).parents[2]

# As Stable Diffusion 2 for inpainting: v, heads per block, linear projection.
UNET = {
  **tiny.TWO_BLOCKS,
  'in_channels': 9,
  'attention_head_dim': [2, 4],
  'use_linear_projection': True,
  'upcast_attention': True,
  'num_class_embeds': 7,
  'time_cond_proj_dim': 5,
  'cross_attention_dim': 16,
  'norm_num_groups': 8,
}
CONTROLNET = {
  key: value
  for key, value in UNET.items()
  if key not in ('sample_size', 'up_block_types', 'time_cond_proj_dim')
}
VAE = {
  'down_block_types': ['DownEncoderBlock2D'] * 2,
  'up_block_types': ['UpDecoderBlock2D'] * 2,
  'block_out_channels': [8, 16],
  'layers_per_block': 1,
  'norm_num_groups': 4,
}
SCHEDULER = {
  'beta_schedule': 'scaled_linear',
  'beta_start': 0.00085,
  'beta_end': 0.012,
  'steps_offset': 1,
  'prediction_type': 'v_prediction',
}

# From inside diffusers, where NumPy 2 copies PyTorch tensors.
pytestmark = pytest.mark.filterwarnings(
  'ignore:__array__ implementation:DeprecationWarning'
)


def _rename(path, change):
  """Give the tensors of a file other names."""
  tensors = safetensors.numpy.load_file(path)
  safetensors.numpy.save_file(
    {change(key): value for key, value in tensors.items()}, path
  )


def _age(folder):
  """Give weights the names that they had in older checkpoints."""
  _rename(
    folder / 'text_encoder' / 'model.fp16.safetensors',
    lambda key: f'text_model.{key.removeprefix("text_model.")}',
  )
  old = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value'}
  old['to_out.0'] = 'proj_attn'

  def rename(key):
    for new_name, old_name in old.items():
      key = key.replace(
        f'attentions.0.{new_name}.', f'attentions.0.{old_name}.'
      )
    return key

  _rename(folder / 'vae' / 'diffusion_pytorch_model.bf16.safetensors', rename)


def _write(folder):
  """Write the model as PyTorch does: sharded, in float16, in bfloat16."""
  torch = tiny.load('torch')
  diffusers, transformers = tiny.load('diffusers'), tiny.load('transformers')
  words = tokenizer_lib.train(
    ['a tiger mask'], folder / 'tokenizer', vocab_size=520, max_length=16
  )
  text = transformers.CLIPTextConfig(
    vocab_size=words.vocab_size,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=16,
    hidden_act='gelu',
    bos_token_id=words.start_id,
    eos_token_id=words.end_id,
    pad_token_id=0,
  )
  networks = {
    'unet': lambda: diffusers.UNet2DConditionModel(**UNET),
    'controlnet': lambda: diffusers.ControlNetModel(
      **CONTROLNET, conditioning_embedding_out_channels=[4, 8]
    ),
    'vae': lambda: diffusers.AutoencoderKL(**VAE),
    'text_encoder': lambda: transformers.CLIPTextModel(text),
  }
  options = {
    'unet': {'max_shard_size': '300KB'},
    'vae': {'variant': 'bf16'},
    'text_encoder': {'variant': 'fp16'},
  }
  dtypes = {'vae': torch.bfloat16, 'text_encoder': torch.float16}
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    for name, make in networks.items():
      network = tiny.build(make).to(dtypes.get(name))
      network.save_pretrained(folder / name, **options.get(name, {}))
    with_zeros = networks['controlnet']()
    with_zeros.save_pretrained(folder / 'controlnet_1')
    diffusers.DDIMScheduler(**SCHEDULER).save_pretrained(folder / 'scheduler')
  _age(folder)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('model')
  _write(folder)
  return folder


def test_every_part_passes(folder):
  assert len(list((folder / 'unet').glob('*-of-*.safetensors'))) > 1
  rows = list(folders.check(folder))
  for row in rows:
    print(row)
  assert all(row.passed for row in rows)
  cases = {(row.part, row.case) for row in rows}
  assert cases >= {
    ('tokenizer', '4 texts'),
    ('text_encoder', 'hidden states'),
    ('unet', 't = 999'),
    ('unet', 't = 400, residuals'),
    ('vae', 'encode, std'),
    ('vae', 'decode'),
    ('scheduler', 'dpmpp_2m, 10 steps'),
  }
  # The second ControlNet is new: its zero convolutions are refilled.
  notes = [row.note for row in rows if row.part == 'controlnet']
  assert notes[:3] == ['', '', '']
  assert all('of zeros made random' in note for note in notes[3:])
  assert len(notes) == 6
  assert any('controlnet_1' in case for _, case in cases)


def test_one_changed_weight_fails(folder, tmp_path):
  copy = shutil.copytree(folder / 'controlnet', tmp_path / 'copy')
  same = folders.check(copy, reference=folder / 'controlnet')
  assert all(row.passed for row in same)
  path = copy / 'diffusion_pytorch_model.safetensors'
  tensors = safetensors.numpy.load_file(path)
  kernel = tensors['mid_block.resnets.0.conv1.weight']
  kernel[np.unravel_index(np.abs(kernel).argmax(), kernel.shape)] *= 1.01
  safetensors.numpy.save_file(tensors, path)
  rows = list(folders.check(copy, reference=folder / 'controlnet'))
  assert rows and not any(row.passed for row in rows)


def test_a_changed_weight_of_zeros_fails(folder, tmp_path):
  copy = shutil.copytree(folder / 'controlnet_1', tmp_path / 'copy')
  path = copy / 'diffusion_pytorch_model.safetensors'
  tensors = safetensors.numpy.load_file(path)
  tensors['controlnet_mid_block.weight'][0, 0] = 1e-3
  safetensors.numpy.save_file(tensors, path)
  (row,) = folders.check(copy, reference=folder / 'controlnet_1')
  assert not row.passed and 'controlnet_mid_block.kernel' in row.note


def test_a_small_mistake_fails(folder, monkeypatch):
  load = component.load

  def nearly(*arguments, **options):
    module, params = load(*arguments, **options)
    return component.Component(
      module, jax.tree.map(lambda x: x * np.float32(1 + 1e-4), params)
    )

  monkeypatch.setattr(component, 'load', nearly)
  rows = list(folders.check(folder, parts=['text_encoder']))
  assert len(rows) == 2
  for row in rows:
    assert 1e-5 < row.error < 1e-2 and not row.passed
    assert 'FAIL' in str(row)
  lenient = folders.check(folder, parts=['text_encoder'], tolerance=0.1)
  assert all(row.passed for row in lenient)


def test_a_wrong_schedule_fails(folder, tmp_path, monkeypatch):
  tiny.load('torch')
  load = network_parity.schedulers.load

  def nearly(path):
    schedule = load(path)
    return schedule.replace(sigma=schedule.sigma * np.float32(1 + 1e-3))

  monkeypatch.setattr(network_parity.schedulers, 'load', nearly)
  rows = list(folders.check(folder, parts=['scheduler']))
  assert not any(row.passed for row in rows)


def test_nothing_compared_does_not_pass():
  assert not network_parity.Row('unet', '', math.nan, 1.0).passed


def test_the_exit_status_tells_whether_all_passed(folder):
  def run(*arguments):
    return subprocess.run(
      [sys.executable, '-m', 'experiments.check_parity', *arguments],
      capture_output=True,
      text=True,
      cwd=_ROOT,
      env=os.environ | {'PYTHONPATH': str(_ROOT), 'XLA_FLAGS': ''},
    )

  done = run(f'--diffusers={folder}', '--parts=tokenizer')
  assert done.returncode == 0, done.stderr
  assert done.stdout.endswith('1 of 1 pass\n')
  done = run(f'--diffusers={folder / "vae"}', '--tolerance=1e-12')
  assert done.returncode == 1
  assert done.stdout.endswith('0 of 3 pass\n')
  assert 'Traceback' not in done.stderr


def test_pytorch_opens_the_bundled_prior_and_predicts_the_same():
  folder = bundled.bundled_path('prior')
  parts = ('text_encoder', 'unet', 'controlnet')
  rows = list(folders.check(folder, parts=parts))
  assert {row.part for row in rows} == set(parts)
  assert [row for row in rows if not row.passed] == []
