"""Samplers beside PyTorch's, on a made-up network."""

import dataclasses

import numpy as np
import pytest

from maskjax.diffusion import schedulers
from maskjax.parity import folders, networks as network_parity, samplers
from tests.diffusion import torch_nets as tiny

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


@pytest.mark.parametrize(
  'kind, fields',
  [
    ('PNDMScheduler', {'skip_prk_steps': True}),
    ('DDIMScheduler', {'clip_sample': False, 'set_alpha_to_one': False}),
    (
      'EulerDiscreteScheduler',
      {'prediction_type': 'epsilon', 'use_karras_sigmas': True},
    ),
    (
      'DDPMScheduler',
      {'timestep_spacing': 'trailing', 'prediction_type': 'sample'},
    ),
    ('DPMSolverMultistepScheduler', {'num_train_timesteps': 500}),
    (  # Almost nothing is left of the picture at its last timestep.
      'DDIMScheduler',
      {'beta_schedule': 'squaredcos_cap_v2', 'timestep_spacing': 'trailing'},
    ),
    ('SASolverScheduler', {}),
    ('UniPCMultistepScheduler', {'use_karras_sigmas': True}),
    (
      'EulerDiscreteScheduler',
      {'rescale_betas_zero_snr': True, 'timestep_spacing': 'trailing'},
    ),
  ],
)
def test_schedulers_of_single_folders(tmp_path, kind, fields):
  tiny.load('torch')
  diffusers = tiny.load('diffusers')
  getattr(diffusers, kind)(**(SCHEDULER | fields)).save_pretrained(tmp_path)
  rows = list(folders.check(tmp_path))
  assert len(rows) == 4
  for row in rows:
    print(row)
    assert row.passed


@pytest.mark.parametrize('method', samplers.METHODS)
def test_a_method_equals_pytorch_and_a_wrong_one_does_not(
  tmp_path, monkeypatch, method
):
  schedulers.save(tmp_path, SCHEDULER)
  tiny.load('torch')
  tiny.load('diffusers')
  right = samplers.compare(tmp_path, method)
  assert right.error <= max(network_parity.TOLERANCE, right.rounding)
  load = schedulers.load

  def nearly(path):
    own = load(path)
    return dataclasses.replace(own, sigma=own.sigma * np.float32(1 + 1e-3))

  monkeypatch.setattr(schedulers, 'load', nearly)
  wrong = samplers.compare(tmp_path, method)
  assert wrong.error > 10 * max(network_parity.TOLERANCE, wrong.rounding)


def test_what_is_left_out_is_noted(tmp_path):
  schedulers.save(tmp_path, {**SCHEDULER, 'clip_sample': True})
  tiny.load('torch')
  tiny.load('diffusers')
  note = samplers.compare(tmp_path, 'euler').note
  assert note == 'without clipping, as in PyTorch'
