"""The whole job at a tiny size: files, resuming, going back, bad input."""

import dataclasses
import hashlib
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
import trimesh

from maskjax.geometry import gltf, mesh_io, template as template_lib
from maskjax.mask import generate
from maskjax.training import metrics
from tests.mask import small


def _settings(model_folder, **fields):
  return small.settings(**{'diffusion.path': str(model_folder), **fields})


@pytest.fixture(scope='module')
def finished(model_folder, tmp_path_factory):
  """Return a finished run of three steps, and its report."""
  workdir = tmp_path_factory.mktemp('run')
  return workdir, generate.run(_settings(model_folder), str(workdir))


def test_a_run_leaves_everything_a_user_needs(finished):
  workdir, report = finished
  names = {path.name for path in workdir.iterdir()}
  assert names >= {
    'mask.glb',
    'preview.png',
    'turntable.mp4',
    'metrics.jsonl',
    'report.json',
    'config.json',
    'first_image.png',
  }
  assert json.loads((workdir / 'report.json').read_text()) == report
  assert report['steps'] == 3
  assert report['soundness']['rim_displacement'] == 0.0
  assert report['soundness']['flipped'] == 0
  scene = trimesh.load(workdir / 'mask.glb')
  (mesh,) = scene.geometry.values()
  # Metres: a face is 15 to 20 cm wide.
  assert 0.12 < np.ptp(mesh.vertices[:, 0]) < 0.4
  assert gltf.read_extras(workdir / 'mask.glb')['prompt'] == report['prompt']


def test_metrics_tell_loss_and_adjusted_words(finished):
  workdir, _ = finished
  lines = metrics.read(workdir / 'metrics.jsonl')
  assert [line['step'] for line in lines] == [1, 2, 3]
  for line in lines:
    assert np.isfinite(line['loss'])
    assert len(line['text']) == 2
    subjects = {text.split(',')[0] for text in line['text']}
    assert subjects <= {'a Bengal tiger', 'a stone Bengal tiger'}
  # Something moved, and not the same way twice.
  offsets = [line['offset_cm'] for line in lines]
  assert min(offsets) > 0.0
  assert len(set(offsets)) == len(offsets)


def test_same_seed_same_bytes_and_more_training_equals_an_unbroken_run(
  finished, model_folder, tmp_path
):
  workdir, _ = finished
  generate.run(_settings(model_folder, steps=2), str(tmp_path))
  short = (tmp_path / 'mask.glb').read_bytes()
  generate.run(_settings(model_folder, steps=3, resume=True), str(tmp_path))
  unbroken = (workdir / 'mask.glb').read_bytes()
  assert (tmp_path / 'mask.glb').read_bytes() == unbroken
  assert short != unbroken
  shorter = _settings(model_folder, steps=2, resume=True)
  with pytest.raises(ValueError, match=r'at step 3 already.*config\.back=2'):
    generate.run(shorter, str(tmp_path))
  # Back to the second step.
  report = generate.run(_settings(model_folder, steps=2, back=2), str(tmp_path))
  assert report['ended_by'] == 'back'
  assert (tmp_path / 'mask.glb').read_bytes() == short


@pytest.mark.parametrize(
  'fields, words',
  [
    ({'geometry': 'voxels'}, 'not one of vertices, sdf'),
    ({'texture': 'paint'}, 'not one of vertex, uv, hashgrid'),
    ({'geometry': 'sdf', 'texture': 'uv'}, 'stays the same'),
    ({'template': 'nowhere.obj'}, 'nowhere.obj'),
    ({'template': 'nothing'}, 'neither one of'),
  ],
)
def test_bad_fields_get_one_clear_line(model_folder, tmp_path, fields, words):
  workdir = tmp_path / 'run'
  with pytest.raises((ValueError, FileNotFoundError), match=words) as error:
    generate.run(_settings(model_folder, **fields), str(workdir))
  assert '\n' not in str(error.value)
  # The mended command can use the same folder.
  assert not workdir.exists()


def test_missing_weights_folder_gets_one_clear_line(tmp_path):
  settings = _settings(tmp_path / 'none')
  with pytest.raises(ValueError, match='no such folder') as error:
    generate.run(settings, str(tmp_path / 'run'))
  assert '\n' not in str(error.value)


def test_a_full_memory_names_the_fields(model_folder, tmp_path, monkeypatch):
  def fill(*_, **__):
    raise jax.errors.JaxRuntimeError(
      'RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\n'
    )

  monkeypatch.setattr(generate, 'prepare', fill)
  with pytest.raises(
    ValueError, match=r'lower --config\.views\.count'
  ) as error:
    generate.run(_settings(model_folder), str(tmp_path / 'run'))
  assert '\n' not in str(error.value)


def test_another_config_in_the_workdir_is_refused(finished, model_folder):
  workdir, _ = finished
  with pytest.raises(ValueError, match='belongs to another config'):
    generate.run(_settings(model_folder, seed=5), str(workdir))


def test_a_template_file_that_has_changed_is_another_run(tmp_path, monkeypatch):
  monkeypatch.setattr(generate.guide_lib, 'load_model', lambda settings: None)
  stub = generate.Job(None, None, [], generate.start_lib.Start(None, None))
  monkeypatch.setattr(generate, 'prepare', lambda *_, **__: stub)
  sheet = template_lib.mask_template('plain', edge_length=1.2).mesh
  path, folder = tmp_path / 'head.obj', str(tmp_path / 'run')
  mesh_io.save_mesh(path, sheet)
  fields = {'template': str(path), 'geometry': 'vertices'}
  with generate._opened(small.settings(**fields), folder) as (_, workdir):
    (workdir / 'metrics.jsonl').write_text('')
    kept = json.loads((workdir / 'config.json').read_text())
  assert kept['template_sha256'] == (
    hashlib.sha256(path.read_bytes()).hexdigest()
  )
  moved = dataclasses.replace(sheet, vertices=sheet.vertices * 1.01)
  mesh_io.save_mesh(path, moved)
  for resume in (True, False):
    opened = generate._opened(small.settings(**fields, resume=resume), folder)
    with pytest.raises(ValueError, match='template_sha256'), opened:
      pass


def test_unknown_field_on_the_command_line_names_the_nearest_one(tmp_path):
  command = [sys.executable, '-m', 'experiments.generate_mask']
  command += ['--config=configs/mask.py:tiny', f'--workdir={tmp_path}']
  done = subprocess.run(
    [*command, '--config.promt=a lion'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1
  assert done.stderr.strip().count('\n') == 0
  assert "'prompt'" in done.stderr


def test_stopping_by_a_loss_threshold(model_folder):
  settings = _settings(model_folder, steps=50, loss_threshold=1e9)
  job = generate.prepare(settings)
  outcome = generate.optimize(job, settings, show_progress=False)
  assert outcome.reason == 'stop'
  assert outcome.step < 50


@pytest.mark.parametrize(
  'geometry, texture', [('sdf', 'vertex'), ('vertices', 'hashgrid')]
)
def test_other_geometries_and_textures(
  model_folder, tmp_path, geometry, texture
):
  fields = {'steps': 2, 'geometry': geometry, 'texture': texture}
  fields |= {'sdf.cell': 2.0, 'baked_size': 64}
  report = generate.run(_settings(model_folder, **fields), str(tmp_path))
  assert report['soundness']['non_manifold'] == 0
  assert report['soundness']['flipped'] == 0
  (mesh,) = trimesh.load(tmp_path / 'mask.glb').geometry.values()
  image = getattr(mesh.visual, 'material', None)
  image = getattr(image, 'baseColorTexture', None)
  assert (image is not None) == (texture == 'hashgrid')
  back = _settings(model_folder, **fields, back=2)
  again = generate.run(back, str(tmp_path))
  assert again['files'] == report['files']
  (last,) = metrics.read(tmp_path / 'metrics.jsonl')[-1:]
  assert ('fullness' in last) == (geometry == 'sdf')
