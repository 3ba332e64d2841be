"""The loop on the latents of a tiny model with a ControlNet given apart."""

import json

import numpy as np

from maskjax.mask import generate
from maskjax.training import metrics
from tests.diffusion import tiny_model
from tests.mask import small

TINY = {
  'edge_length': 1.2,
  'steps': 2,
  'log_every': 1,
  'preview_size': 48,
  'turntable_frames': 2,
  'views.count': 2,
  'first_image.steps': 2,
}


def test_masks_from_a_folder_like_that_of_stable_diffusion(tmp_path):
  tiny_model.create_latent(tmp_path / 'model')
  tiny_model.create_latent(tmp_path / 'other', controlnets=1)
  settings = small.settings(
    'sd15',
    **TINY,
    **{
      'diffusion.path': str(tmp_path / 'model'),
      'controlnet.path': str(tmp_path / 'other' / 'controlnet'),
    },
  )
  report = generate.run(settings, str(tmp_path / 'run'))
  assert report['steps'] == 2
  assert (tmp_path / 'run' / 'mask.glb').stat().st_size > 0
  lines = metrics.read(tmp_path / 'run' / 'metrics.jsonl')
  for line in lines:
    assert np.isfinite(line['loss'])
    # The gradient came through the encoder to the mask.
    assert line['vertex_gradient'] > 0 and line['color_gradient'] > 0
  written = json.loads((tmp_path / 'run' / 'config.json').read_text())
  assert written['controlnet']['path'] == settings.controlnet.path


def test_inpainting_models_need_no_controlnet(tmp_path):
  tiny_model.create_latent(tmp_path / 'model', inpainting=True)
  settings = small.settings(
    'sd15',
    **TINY,
    **{
      'diffusion.path': str(tmp_path / 'model'),
      'condition.normal_percentage': 0.0,
    },
  )
  job = generate.prepare(settings)
  outcome = generate.optimize(job, settings, show_progress=False)
  assert outcome.step == 2
  assert np.isfinite(float(outcome.state.smoothed_loss))
