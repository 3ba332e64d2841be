"""A stage of the prior: data, rate, resuming, and one stage upon another."""

import shutil
import subprocess
import sys

import flax
import jax
import numpy as np
import pytest

from configs import prior
from maskjax.data.creatures import creatures, head_images
from maskjax.diffusion import model as model_lib, schedulers
from maskjax.prior import settings as prior_settings, training as prior_training
from maskjax.studio import condition as condition_lib, views as studio_views
from maskjax.training import checkpoint, metrics, settings, workdir

SIZE = 16


def heads(size=SIZE, count=10, seed=0):
  """Pictures of noise."""
  rng = np.random.default_rng(seed)

  def noise(*channels):
    return rng.integers(0, 256, (count, size, size, *channels), np.uint8)

  return head_images.HeadImages(
    rgb=noise(3),
    alpha=noise(),
    normals=noise(3),
    height=noise(),
    kind=rng.integers(len(creatures.KINDS), size=count).astype(np.int16),
    modifiers=np.array(['', 'old'] * (count // 2)),
    angles=rng.uniform(-80, 80, (count, 2)).astype(np.float32),
    distance=np.ones(count, np.float32),
    lighting=rng.integers(len(studio_views.LIGHTINGS), size=count).astype(
      np.int16
    ),
    holes=rng.random((count, 3, 2), np.float32),
  )


def write_heads(folder, **options):
  np.savez(folder / 'heads-00000.npz', **heads(**options)._asdict())


def write_art(folder, size=SIZE):
  np.savez(
    folder / 'art.npz',
    images=np.full((3, size, size, 4), 200, np.uint8),
    captions=np.array(['a zebra emoji', 'grinning face', 'a smiley']),
  )


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  folder = tmp_path_factory.mktemp('data')
  write_heads(folder)
  write_art(folder)
  return folder


@pytest.fixture(autouse=True, scope='module')
def few_captions():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(prior_training, '_VOCABULARY_CAPTIONS', 300)
    yield


def tiny(data, **fields):
  """Return the tiny stage, smaller still."""
  config = prior.get_config('tiny')
  config.update(
    data=str(data), sample_size=SIZE, channels=(16,), batch_size=2,
    vocabulary=530, tokens=8, text_features=16, condition_embedding=(8, 16),
  )  # fmt: skip
  config.update(fields)
  return config


def train(config, folder):
  """Train as the experiment does."""
  stage = settings.read(prior_settings.Settings, config)
  prior_training.train(stage, str(folder))


def test_data_is_heads_and_art_if_there_is_some(data, tmp_path):
  images, art = prior_training.load_data(data)
  np.testing.assert_array_equal(images.rgb, heads().rgb)
  assert art.images.shape == (3, SIZE, SIZE, 4)
  assert art.captions.tolist()[1] == 'grinning face'
  write_heads(tmp_path)
  assert prior_training.load_data(tmp_path)[1] is None
  with pytest.raises(FileNotFoundError, match='build_prior_data'):
    prior_training.load_data(tmp_path / 'nowhere')


def test_captions_for_the_vocabulary_name_everything(data):
  _, art = prior_training.load_data(data)

  def sample(count):
    rng = np.random.default_rng(0)
    return prior_training.sample_captions(rng, count, art)

  texts = sample(2000)
  assert texts[:3] == list(art.captions) and len(texts) == 2003
  assert texts[:103] == sample(100)
  every = ' '.join(texts)
  words = [*creatures.MODIFIERS, 'three-quarter view', 'from below', 'purple']
  assert all(word in every for word in words)


def test_rate_warms_up_stays_and_falls():
  def learning_rate(**fields):
    config = prior.get_config()
    config.update(steps=100, warmup_steps=10, learning_rate=2.0)
    config.update(fields)
    stage = settings.read(prior_settings.Settings, config)
    return prior_training.learning_rate(stage)

  rate = learning_rate(decay_steps=40)
  steps = (0, 5, 10, 59, 60, 80, 100, 120)
  np.testing.assert_allclose(
    [rate(step) for step in steps], [0, 1, 2, 2, 2, 1, 0, 0], atol=1e-5
  )
  rate = learning_rate(decay_steps=0)
  np.testing.assert_allclose([rate(s) for s in (5, 10, 500)], [1, 2, 2])
  # At full rate from the first step.
  rate = learning_rate(decay_steps=0, warmup_steps=0)
  np.testing.assert_allclose([rate(0), rate(1)], [2, 2])


def bytes_of(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }


def log(folder):
  lines = metrics.read(folder / 'metrics.jsonl')
  return [(line['step'], line['loss'], line['gradient_norm']) for line in lines]


def test_emoji_that_are_none_are_told_in_one_line(tmp_path):
  write_heads(tmp_path)
  np.savez(tmp_path / 'art.npz', images=np.ones((3, 4)), captions=np.ones(3))
  with pytest.raises(ValueError, match=r'art\.npz holds no emoji \(images is'):
    prior_training.load_data(tmp_path)


@pytest.fixture(scope='module')
def resumed(data, tmp_path_factory):
  """Two steps, then a third one in another call and with the data moved."""
  folder = tmp_path_factory.mktemp('resumed')
  train(tiny(data), folder)
  assert [step for step, *_ in log(folder)] == [1, 2]
  elsewhere = tmp_path_factory.mktemp('elsewhere')
  for path in data.iterdir():
    (elsewhere / path.name).write_bytes(path.read_bytes())
  shutil.rmtree(folder / 'model')  # Nothing but checkpoints is needed.
  train(tiny(elsewhere, steps=3, resume=True), folder)
  return folder


def test_resumed_run_equals_unbroken_run_bit_for_bit(data, resumed, tmp_path):
  train(tiny(data, steps=3), tmp_path)
  assert checkpoint.all_steps(tmp_path / 'checkpoints') == [3]
  assert log(tmp_path) == log(resumed)
  assert len(log(tmp_path)) == 3
  ours, theirs = (bytes_of(f / 'model') for f in (tmp_path, resumed))
  assert ours.keys() == theirs.keys()
  assert [name for name in ours if ours[name] != theirs[name]] == []


def test_stage_leaves_a_model_folder(resumed):
  model = model_lib.load(resumed / 'model')
  assert set(model.networks) == {'unet', 'text_encoder'}
  assert (model.sample_size, model.pixel_unshuffle) == (SIZE, 2)
  assert model.schedule.prediction_type == 'v_prediction'
  assert model.tokenizer.max_length == 8
  leaves = jax.tree.leaves(model.params)
  assert all(np.isfinite(leaf).all() for leaf in leaves)


def test_controlnet_is_trained_upon_a_model_that_stays(data, resumed, tmp_path):
  config = tiny(
    data,
    init=str(resumed / 'model'),
    trained=('controlnet',),
    steps=2,
    warmup_steps=0,
    learning_rate=1e-2,
  )
  train(config, tmp_path)
  before = bytes_of(resumed / 'model')
  after = bytes_of(tmp_path / 'model')
  same = [name for name in before if before[name] == after[name]]
  assert same == list(before)
  model = model_lib.load(tmp_path / 'model')
  control = model.params['controlnet']
  assert model.networks['controlnet'].config.conditioning_channels == (
    condition_lib.CONDITION_CHANNELS
  )
  # Its zero convolutions have moved: it does something.
  assert np.abs(control['controlnet_mid_block']['kernel']).max() > 1e-3


@pytest.mark.parametrize(
  'fields, error, words',
  [
    ({'trained': ('unet', 'wings')}, ValueError, 'wings'),
    ({'dtype': 'half'}, ValueError, 'not one of float32, bfloat16'),
    ({'steps': 0}, ValueError, 'steps is 0; expected'),
    ({'learning_rate': float('nan')}, ValueError, 'learning_rate is nan'),
    ({'resume': True}, FileNotFoundError, 'no config.json'),
    ({'views': 3}, ValueError, 'multiple of views, 3'),
    ({'init': 'nowhere'}, ValueError, 'no such folder'),
    ({'sample_size': 32}, ValueError, r'head pictures in .* are 16 pixels'),
  ],
)
def test_wrong_input_gives_one_line(
  data, tmp_path, monkeypatch, fields, error, words
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(prior_training.pretraining, 'create', stub_model)
  with pytest.raises(error, match=words) as caught:
    train(tiny(data, **fields), tmp_path / 'run')
  assert '\n' not in str(caught.value)
  # The mended command can use the same folder.
  assert not (tmp_path / 'run').exists()


def test_a_model_of_colours_alone_is_no_beginning(data, model_folder, tmp_path):
  settings = tiny(data, init=str(model_folder))
  with pytest.raises(ValueError, match='paints 3 channels') as caught:
    train(settings, tmp_path / 'run')
  assert '\n' not in str(caught.value)
  assert not (tmp_path / 'run').exists()


def stub_model(rng, *, unet_config, text_config, tokenizer, **others):
  """Stand in for a new model where training does not come so far."""
  del rng, unet_config, text_config, others
  names = {'unet': None, 'text_encoder': None}
  return model_lib.DiffusionModel(
    params=names,
    schedule=schedulers.from_config({}),
    networks=flax.core.freeze(names),
    tokenizer=tokenizer,
    sample_size=SIZE,
    pixel_unshuffle=2,
  )


def test_emoji_of_another_size_are_refused(data, tmp_path):
  write_heads(tmp_path)
  write_art(tmp_path, size=8)
  with pytest.raises(ValueError, match=r'emoji in .* are 8 pixels'):
    train(tiny(tmp_path), tmp_path / 'run')


def test_resuming_before_the_first_checkpoint_is_refused(data, tmp_path):
  workdir.prepare(tmp_path, tiny(data, init='gone'))
  with pytest.raises(FileNotFoundError, match='no checkpoint to resume from'):
    train(tiny(data, init='gone', resume=True), tmp_path)


def test_little_else_is_imported():
  # So that it runs on a machine that has little beside jax.
  def imported(code):
    tail = '; import sys; print(*{m.split(".")[0] for m in sys.modules})'
    command = [sys.executable, '-c', code + tail]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())

  found = imported('import experiments.train_prior, configs.prior')
  found -= imported('import jax, flax, optax, numpy, orbax.checkpoint')
  assert found - set(sys.stdlib_module_names) == {
    *('configs', 'experiments', 'maskjax'),
    *('jaxtyping', 'ml_collections', 'safetensors', 'tokenizers', 'tqdm'),
  }
