"""Labels, augmentation, learning and resuming of the matcher."""

import json

import jax
import numpy as np
import optax
import pytest

from configs import matcher as matcher_config
from maskjax.data.creatures import creatures, head_images
from maskjax.matcher import network as matcher_lib, training as matcher_training
from maskjax.studio import views as studio_views
from maskjax.training import settings, state as state_lib

_WORDS = matcher_lib.vocabulary()
_SMALL = matcher_lib.MatcherConfig(_WORDS, channels=(8, 8, 16, 16), features=16)


def _heads(rng, count, kinds=3):
  """Discs: a colour a kind, bright on one side, as if lit from there."""
  axis = np.arange(64) - 31.5
  disc = (axis[:, None] ** 2 + axis**2 < 20**2) * np.ones((count, 1, 1))
  kind = np.arange(count) % kinds
  side = np.where(rng.random(count) < 0.5, 1.0, -1.0)
  light = {
    1.0: studio_views.LIGHTINGS.index(('white', 'right')),
    -1.0: studio_views.LIGHTINGS.index(('white', 'left')),
  }
  tint = np.array([(1, 0.1, 0.1), (0.1, 1, 0.1), (0.1, 0.1, 1)])[kind]
  shade = 0.6 + 0.4 * side[:, None, None] * axis / 32
  rgb = tint[:, None, None] * shade[..., None] * disc[..., None]
  zeros = np.zeros((count, 64, 64, 3), np.uint8)
  return head_images.HeadImages(
    rgb=(255 * np.clip(rgb, 0, 1)).astype(np.uint8),
    alpha=(255 * disc).astype(np.uint8),
    normals=zeros,
    height=zeros[..., 0],
    kind=kind.astype(np.int16),
    modifiers=np.full(count, ''),
    angles=np.stack([40 * side, np.zeros(count)], -1).astype(np.float32),
    lighting=np.array([light[s] for s in side], np.int16),
    holes=np.zeros((count, 3, 2), np.float32),
  )


def _truth(heads):
  return (
    matcher_training.labels(heads),
    matcher_training.labels(heads, mirrored=True),
  )


def test_mirrored_labels_swap_left_and_right():
  heads = _heads(np.random.default_rng(0), 8)
  plain, mirrored = _truth(heads)
  np.testing.assert_array_equal(plain[:, 0], mirrored[:, 0])
  swap = {'left': 'right', 'right': 'left'}
  for names, column in (
    (studio_views.view_names(), 1),
    (studio_views.lighting_names(), 2),
  ):
    for row, other in zip(plain, mirrored):
      words = [swap.get(word, word) for word in names[row[column]].split()]
      assert ' '.join(words) == names[other[column]]


def test_drawn_labels_agree_with_drawn_pictures():
  heads = _heads(np.random.default_rng(0), 32)
  batch = matcher_training.draw(
    np.random.default_rng(1), heads, _truth(heads), batch_size=64
  )
  columns = np.arange(64)
  brightness, covered = batch.rgb.sum((1, 3)), batch.alpha.sum(1)
  bright = (brightness * columns).sum(-1) / brightness.sum(-1)
  middle = (covered * columns).sum(-1, dtype=float) / covered.sum(-1)
  side = np.where(bright > middle, 'right', 'left')
  assert list(side) == [
    studio_views.LIGHTINGS[row][1] for row in batch.labels[:, 2]
  ]
  np.testing.assert_array_equal(
    batch.rgb.sum((1, 2)).argmax(-1), batch.labels[:, 0]
  )
  assert len(np.unique(middle.round())) > 3  # moved


def test_composed_pictures_are_heads_on_backgrounds():
  heads = _heads(np.random.default_rng(0), 4)
  images, labels = matcher_training.pictures(
    jax.random.key(0), heads, np.array([2, 0])
  )
  assert images.shape == (2, 64, 64, 3)
  np.testing.assert_array_equal(labels[:, 0], [2, 0])
  np.testing.assert_allclose(
    images[0, 20:44, 20:44], heads.rgb[2, 20:44, 20:44] / 255, atol=2e-3
  )
  assert 0.0 <= images.min() <= images.max() <= 1.0


def test_blur_keeps_the_mean():
  image = np.zeros((8, 8, 1), np.float32)
  image[3, 4] = 1.0
  blurred = matcher_training._binomial(image)
  np.testing.assert_allclose(blurred.sum(), 1.0, rtol=1e-6)
  np.testing.assert_allclose(
    blurred[2:5, 3:6, 0] * 16, [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
  )


def test_it_learns_a_toy_set():
  heads = _heads(np.random.default_rng(0), 60)
  truth = _truth(heads)
  matcher = matcher_lib.create(jax.random.key(0), _SMALL)
  tx = optax.adam(5e-3)
  step = matcher_training.make_step(matcher.module, tx, ema_decay=0.9)
  state = state_lib.create(matcher.params, tx, ema=True)
  for number in range(60):
    batch = matcher_training.draw(
      np.random.default_rng([0, number]), heads, truth, batch_size=16
    )
    rng = jax.random.fold_in(jax.random.key(0), number)
    state, metrics = step(state, rng, batch)
  assert np.isfinite(metrics['loss'])
  report = matcher_training.accuracy(
    matcher.replace(params=state.ema_params),
    _heads(np.random.default_rng(9), 30),
  )
  assert report['pictures'] == 30
  # Chance is 1 in 41, 21 and 36; an untrained one is right by a third at most.
  assert report['kind'] > 0.9
  assert report['light'] > 0.9
  assert set(report['kinds']) == set(creatures.KINDS[:3])


@pytest.fixture
def config(tmp_path):
  folder = tmp_path / 'heads'
  folder.mkdir()
  for index in range(2):
    heads = _heads(np.random.default_rng(index), 6)
    np.savez(folder / f'heads-{index:05d}.npz', **heads._asdict())
  config = matcher_config.get_config('tiny')
  config.data = str(folder)
  config.steps = 3
  return config


def train(config, folder):
  """Train as the experiment does."""
  return matcher_training.train(
    settings.read(matcher_training.Settings, config), folder
  )


def test_resumed_training_equals_an_unbroken_one(config, tmp_path, monkeypatch):
  report = train(config, tmp_path / 'whole')
  assert report == json.loads((tmp_path / 'whole' / 'report.json').read_text())
  assert report['held_out']['pictures'] == 6

  draw, calls = matcher_training.draw, []

  def break_off(*args, **kwargs):
    calls.append(1)
    if len(calls) == 3:
      raise RuntimeError('power cut')
    return draw(*args, **kwargs)

  monkeypatch.setattr(matcher_training, 'draw', break_off)
  with pytest.raises(RuntimeError, match='power cut'):
    train(config, tmp_path / 'broken')
  config.resume = True
  train(config, tmp_path / 'broken')
  for name in ('matcher/model.safetensors', 'matcher/config.json'):
    whole, broken = (tmp_path / run / name for run in ('whole', 'broken'))
    assert whole.read_bytes() == broken.read_bytes()


def test_too_few_shards_are_refused(config, tmp_path):
  config.held_out = 2
  with pytest.raises(ValueError, match='holds 2 shards'):
    train(config, tmp_path / 'run')
