"""Stages of the source domain: files, resuming, one stage upon another."""

import shutil

import jax
import numpy as np
import pytest

from configs import source
from maskjax.gan import checkpoints, eg3d, stylegan2
from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  metrics as people_metrics,
  settings as people_settings,
  training as people_training,
)
from maskjax.training import checkpoint, metrics, settings
from tests.people_gan import people


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
  # Programs that run once or twice are not worth optimising.
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  folder = tmp_path_factory.mktemp('data')
  people.write(folder)
  return folder


def tiny(data, stage='tiny', **fields):
  config = source.get_config(stage)
  config.update(data=str(data), walk_frames=0, measure_every=0)
  config.update(fields)
  return config


def train(config, folder):
  """Train as the experiment does."""
  stage = settings.read(people_settings.Settings, config)
  people_training.train(stage, str(folder))


def leaves(folder):
  """Return the arrays of the newest checkpoint."""
  step = checkpoint.latest_step(folder / 'checkpoints')
  return step, checkpoint._read(folder / 'checkpoints', step)[1]


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
  folder = tmp_path_factory.mktemp('decoder') / 'run'
  # The video is made on the way, the measures at the end.
  fields = {'walk_frames': 2, 'walk_every': 1, 'measure_every': 3}
  train(tiny(data, **fields), folder)
  return folder


def test_measures_are_those_of_the_averaged_model(trained, data):
  (line,) = metrics.read(trained / 'measures.jsonl')
  assert line.pop('step') == 2
  shards = people_batches.load(data)
  values = people_metrics.measure(
    checkpoints.load(trained / 'model'),
    shards,
    people_codes.read(trained / 'model', 4).mean,
    people_metrics.Request(pictures=8, scenes=1, identities=2),
  )
  del values['seconds_per_1000'], line['seconds_per_1000']
  assert values == pytest.approx(line, rel=1e-4)


def test_a_run_leaves_model_codes_sheets_video_and_curves(trained):
  model = checkpoints.load(trained / 'model')
  assert isinstance(model.module, eg3d.EG3D)
  assert model.module.config.volume.white_background
  with np.load(trained / 'model' / 'codes.npz') as codes:
    assert codes['mean'].shape == (4, 8)
    np.testing.assert_array_equal(codes['identity'], [0, 0, 1, 1])
  assert (trained / 'samples' / 'step_0000002.png').stat().st_size > 100
  assert (trained / 'walk.mp4').stat().st_size > 100
  lines = metrics.read(trained / 'metrics.jsonl')
  assert [line['step'] for line in lines] == [1, 2]
  for name in ('loss', 'depth_error', 'images_per_second', 'gradient_norm'):
    assert np.isfinite(lines[1][name])


def test_a_resumed_run_ends_bit_for_bit_like_an_unbroken_one(
  trained, data, tmp_path
):
  config = tiny(data, steps=1)
  train(config, tmp_path)
  shutil.rmtree(tmp_path / 'model')  # Nothing but checkpoints is needed.
  config.update(steps=2, resume=True)
  train(config, tmp_path)
  (step, own), (_, unbroken) = leaves(tmp_path), leaves(trained)
  assert step == 2 and own.keys() == unbroken.keys()
  for name, value in own.items():
    np.testing.assert_array_equal(value, unbroken[name], err_msg=name)


def test_adversarial_training_goes_on_from_the_decoder_and_resumes(
  trained, data, tmp_path
):
  begin = str(tmp_path / 'begin')
  shutil.copytree(trained / 'model', begin)
  config = tiny(data, 'tiny_adversarial', init=begin, steps=2)
  train(config, tmp_path / 'whole')
  networks = checkpoints.load_all(tmp_path / 'whole' / 'model')
  assert set(networks) == {'G_ema', 'D'}
  before = checkpoints.load(begin).variables['params']
  after = networks['G_ema'].variables['params']
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, after)
  assert max(jax.tree.leaves(moved)) > 0
  assert max(jax.tree.leaves(moved['decoder'])) < 0.1
  parts = tmp_path / 'parts'
  config.update(steps=1)
  train(config, parts)
  # What it began from is gone, and so is what it left.
  shutil.rmtree(begin)
  shutil.rmtree(parts / 'model')
  config.update(steps=2, resume=True)
  train(config, parts)
  own, unbroken = leaves(parts)[1], leaves(tmp_path / 'whole')[1]
  for name, value in own.items():
    np.testing.assert_array_equal(value, unbroken[name], err_msg=name)
  lines = metrics.read(parts / 'metrics.jsonl')
  assert {'r1', 'density', 'augment', 'swap'} <= set(lines[-1])


def test_an_anchor_holds_known_scenes_and_keeps_their_latents(
  trained, data, tmp_path
):
  begin = str(trained / 'model')
  config = tiny(data, 'tiny_adversarial', init=begin, steps=1)
  config.adversarial.anchor_weight = 10.0
  train(config, tmp_path / 'run')
  config.update(steps=2, resume=True)
  train(config, tmp_path / 'run')
  assert metrics.read(tmp_path / 'run' / 'metrics.jsonl')[-1]['anchor'] > 0
  kept = people_codes.read(tmp_path / 'run' / 'model', 4)
  for own, first in zip(kept, people_codes.read(begin, 4)):
    np.testing.assert_array_equal(own, first)
  config.update(resume=False, init='')
  with pytest.raises(ValueError, match='latents of known scenes'):
    train(config, tmp_path / 'none')


def test_the_side_of_the_rendering_moves_in_buckets(data, tmp_path):
  config = tiny(data, 'tiny_adversarial', raw_start=4, raw_kimg=0.004)
  train(config, tmp_path)
  assert checkpoint.latest_step(tmp_path / 'checkpoints') == 2


def test_two_dimensions_through_the_same_loop(data, tmp_path):
  config = tiny(data, 'tiny_stylegan2', channels=(8, 8, 8), walk_frames=2)
  train(config, tmp_path)
  model = checkpoints.load(tmp_path / 'model')
  assert isinstance(model.module, stylegan2.Generator)
  assert (tmp_path / 'samples' / 'step_0000002.png').exists()
  assert (tmp_path / 'walk.mp4').stat().st_size > 100
  assert 'path' in metrics.read(tmp_path / 'metrics.jsonl')[-1]


def test_a_student_draws_after_its_teacher_and_learns_on(
  trained, data, tmp_path
):
  teacher = str(trained / 'model')
  other = shutil.copytree(teacher, tmp_path / 'teacher')
  config = tiny(data, 'tiny_student', channels=(8, 8, 8), teacher=str(other))
  config.steps = 1
  train(config, tmp_path / 'student')
  shutil.rmtree(other)
  config.update(steps=2, resume=True)
  train(config, tmp_path / 'student')
  config.update(resume=False, teacher=teacher)
  train(config, tmp_path / 'whole')
  own, unbroken = leaves(tmp_path / 'student')[1], leaves(tmp_path / 'whole')[1]
  for name, value in own.items():
    np.testing.assert_array_equal(value, unbroken[name], err_msg=name)
  begin = str(tmp_path / 'whole' / 'model')
  config = tiny(data, 'tiny_stylegan2', channels=(8, 8, 8), init=begin)
  config.adversarial.anchor_weight = 10.0
  train(config, tmp_path / 'flat')
  before = checkpoints.load(begin).variables['params']
  after = checkpoints.load(tmp_path / 'flat' / 'model').variables['params']
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, after)
  assert 0 < max(jax.tree.leaves(moved)) < 0.1
  assert metrics.read(tmp_path / 'flat' / 'metrics.jsonl')[-1]['anchor'] > 0
  known = people_codes.read(teacher, 4)
  for own, first in zip(
    people_codes.read(tmp_path / 'flat' / 'model', 4), known
  ):
    np.testing.assert_array_equal(own, first)


def test_a_student_needs_a_teacher_of_its_size(trained, data, tmp_path):
  teacher = str(trained / 'model')
  config = tiny(data, 'tiny_student', teacher=teacher)
  with pytest.raises(ValueError, match='16 pixels, the student of 8'):
    train(config, tmp_path / 'a')
  config = tiny(data, 'tiny_student', teacher=teacher, latent=9)
  with pytest.raises(ValueError, match='11 numbers, expected 10'):
    train(config, tmp_path / 'b')


def test_a_number_that_is_not_finite_stops_with_step_and_key(data, tmp_path):
  config = tiny(data, learning_rate=1e30, steps=5)
  with pytest.raises(FloatingPointError, match=r"metric '\w+' is .* at step"):
    train(config, tmp_path)


def test_bad_input_is_answered_in_one_line(data, tmp_path):
  with pytest.raises(ValueError, match='stage'):
    train(_stage(data), tmp_path)
  with pytest.raises(FileNotFoundError, match='make_faces'):
    train(tiny(tmp_path / 'none'), tmp_path / 'a')
  with pytest.raises(ValueError, match='16 pixels wide'):
    train(tiny(data, rendering=16), tmp_path / 'b')
  with pytest.raises(ValueError, match='9 views'):
    train(tiny(data, views=9), tmp_path / 'c')


def _stage(data):
  config = tiny(data)
  config.stage = 'clay'
  return config
