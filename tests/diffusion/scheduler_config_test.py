"""Tests of reading scheduler configs; diffusers' classes are the oracle."""

import inspect

import numpy as np
import pytest

from maskjax.diffusion import scheduler_config, schedulers

# Four roundings of alpha_bar and of 1 - alpha_bar; diffusers sums float32
# steps where we round exact ones.
TABLE_TOLERANCE = 6e-7
# 1 - alpha_bar cannot be finer than the spacing of alpha_bar near 1, and
# processors sum a table in different orders: four of its units.
SPACING = 4 * float(np.finfo(np.float32).eps)
# Of 1 - alpha_bar after a rescaling, which takes differences of roots.
RESCALED_TOLERANCE = 1e-4
# From inside diffusers, where NumPy 2 copies PyTorch tensors.
pytestmark = pytest.mark.filterwarnings('ignore:__array_:DeprecationWarning')


def _classes():
  return sorted(scheduler_config._CLASSES)


@pytest.mark.parametrize(
  'config',
  [
    {'beta_schedule': 'linear'},
    {'beta_schedule': 'linear', 'beta_start': 0.0015, 'beta_end': 0.0195},
    {
      'beta_schedule': 'scaled_linear',
      'beta_start': 0.00085,
      'beta_end': 0.012,
    },
    {'beta_schedule': 'squaredcos_cap_v2', 'num_train_timesteps': 100},
    {'trained_betas': [0.1, 0.2, 0.25], 'num_train_timesteps': 3},
  ],
)
@pytest.mark.parametrize('zero_snr', [False, True])
def test_tables_are_rounded_like_those_of_diffusers(config, zero_snr):
  diffusers = pytest.importorskip('diffusers')
  pytest.importorskip('torch')
  config = {**config, 'rescale_betas_zero_snr': zero_snr}
  theirs = diffusers.DDIMScheduler(**config).alphas_cumprod.numpy()
  ours = scheduler_config.alpha_bar(scheduler_config.complete(config))
  assert ours.dtype == np.float32
  tolerance = RESCALED_TOLERANCE if zero_snr else TABLE_TOLERANCE
  np.testing.assert_allclose(ours, theirs, rtol=tolerance)
  np.testing.assert_allclose(1 - ours, 1 - theirs, rtol=tolerance, atol=SPACING)


@pytest.mark.parametrize('name', _classes())
def test_defaults_are_those_of_the_class(name):
  diffusers = pytest.importorskip('diffusers')
  pytest.importorskip('torch')
  if name == 'DPMSolverSDEScheduler':
    # Without its own package it cannot be looked at.
    theirs = {'beta_start': 0.00085, 'beta_end': 0.012}
  else:
    signature = inspect.signature(getattr(diffusers, name).__init__)
    theirs = {k: v.default for k, v in signature.parameters.items()}
  ours = scheduler_config.complete({'_class_name': name})
  shared = [key for key in ours if key in theirs]
  assert len(shared) > 1
  assert {k: ours[k] for k in shared} == {k: theirs[k] for k in shared}


@pytest.mark.parametrize('name', _classes())
def test_reads_what_every_class_writes(name, tmp_path):
  diffusers = pytest.importorskip('diffusers')
  pytest.importorskip('torch')
  if name == 'DPMSolverSDEScheduler':
    pytest.skip('needs a package of its own')
  kind = getattr(diffusers, name)
  options = {}
  if name == 'DPMSolverSinglestepScheduler':
    options = {'lower_order_final': True}
  kind(prediction_type='v_prediction', **options).save_pretrained(tmp_path)
  ours = schedulers.load(tmp_path)
  assert ours.prediction_type == 'v_prediction' and ours.class_name == name


def test_defaults_where_the_class_has_no_field():
  ddim = schedulers.from_config({})
  euler = schedulers.from_config({'_class_name': 'EulerDiscreteScheduler'})
  pndm = schedulers.from_config({'_class_name': 'PNDMScheduler'})
  assert ddim.clip_range == 1.0 and ddim.timestep_spacing == 'leading'
  assert euler.clip_range is None and euler.timestep_spacing == 'linspace'
  assert pndm.clip_range is None and not pndm.set_alpha_to_one


def test_unknown_fields_that_are_switched_off_are_none():
  config = {'use_something_new': False, 'something_else': None}
  assert scheduler_config.complete(config) == scheduler_config.complete({})


def test_other_samplers_settings_are_idle_and_the_same_ones_not():
  settings = {'solver_order': 3, 'solver_type': 'bh2', 'predict_x0': True}
  kind = {'_class_name': 'UniPCMultistepScheduler'}
  assert scheduler_config.complete({**kind, **settings})
  kind = {'_class_name': 'DPMSolverMultistepScheduler'}
  with pytest.raises(ValueError, match='solver_order=3 is not supported'):
    scheduler_config.complete({**kind, **settings})
  with pytest.raises(ValueError, match="algorithm_type='sde-dpmsolver"):
    scheduler_config.complete({**kind, 'algorithm_type': 'sde-dpmsolver++'})


def test_flax_classes_are_the_same():
  config = {'_class_name': 'FlaxPNDMScheduler'}
  assert scheduler_config.class_name(config) == 'PNDMScheduler'


@pytest.mark.parametrize(
  'config, message',
  [
    ({'beta_schedul': 'linear'}, "unknown scheduler field beta_schedul='lin"),
    ({'use_lu_lambdas': True}, 'use_lu_lambdas=True is not supported'),
    ({'thresholding': True}, 'thresholding=True'),
    (
      {'_class_name': 'DDPMScheduler', 'variance_type': 'learned_range'},
      'variance_type',
    ),
    ({'beta_schedule': 'sigmoid'}, "beta_schedule 'sigmoid' is not one of"),
    ({'prediction_type': 'flow_prediction'}, 'prediction_type'),
    ({'timestep_spacing': 'karras'}, 'timestep_spacing'),
    ({'beta_start': -1.0}, r'betas must rise in \(0, 1\]'),
    ({'trained_betas': [0.1, -1], 'num_train_timesteps': 2}, 'betas must lie'),
    ({'num_train_timesteps': 0}, 'num_train_timesteps 0'),
    ({'trained_betas': [0.1]}, 'expected 1000'),
    ({'_class_name': 'LCMScheduler'}, 'class LCMScheduler is not supported'),
    ({'_class_name': 'FlowMatchEulerDiscreteScheduler'}, 'is not supported'),
  ],
)
def test_unsupported_fields_are_named(config, message):
  with pytest.raises(ValueError, match=message):
    schedulers.from_config(config)
