"""The files of a mask, and what they say of how it was made."""

import json

from maskjax.geometry import gltf
from maskjax.mask import export, start as start_lib, surface as surface_lib
from tests.mask import small


def test_a_mask_is_written_with_how_it_was_made(tmp_path):
  settings = small.settings(
    prompt='a fox', seed=4, formats=('glb', 'obj'), steps=7
  )
  template = surface_lib.load_template(settings)
  surface = surface_lib.create(template, settings)
  start = start_lib.grey(surface)
  made = export.save(tmp_path, surface, start, start.params, settings, steps=5)
  assert set(made['files']) == {'mask.glb', 'mask.obj'}
  for name, size in made['files'].items():
    assert (tmp_path / name).stat().st_size == size > 0
  for name in ('preview.png', 'turntable.mp4'):
    assert (tmp_path / name).stat().st_size > 0
  assert made['soundness']['flipped'] == 0
  assert made['soundness']['rim_displacement'] == 0.0
  said = gltf.read_extras(tmp_path / 'mask.glb')
  assert (said['prompt'], said['seed'], said['steps']) == ('a fox', 4, 5)
  # What more training and another export may change is left out: a resumed
  # run says the same as an unbroken one.
  assert not {'steps', 'formats', 'resume', 'back'} & set(said['config'])
  assert said['config']['distill']['residual'] == 'noised_image'
  assert said['config'] == json.loads(
    json.dumps(export._extras(settings, 9)['config'])
  )
