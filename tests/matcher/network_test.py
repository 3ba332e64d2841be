"""The matcher's words, its probabilities, and its files."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.data.creatures import captions, creatures
from maskjax.matcher import network as matcher_lib
from maskjax.studio import views as studio_views

_WORDS = matcher_lib.vocabulary()
_SMALL = matcher_lib.MatcherConfig(_WORDS, channels=(8, 8, 8, 8), features=8)


@pytest.fixture(scope='module')
def small():
  return matcher_lib.create(jax.random.key(0), _SMALL)


def _images(count):
  rng = np.random.default_rng(0)
  return rng.random((count, 64, 64, 3), np.float32)


def test_every_phrase_has_words_of_its_own():
  phrases = [
    *creatures.KINDS,
    *studio_views.view_names(),
    *studio_views.lighting_names(),
  ]
  rows = matcher_lib.tokenize(_SMALL, phrases)
  assert rows.min() == 0
  assert rows.max() <= len(_WORDS)
  assert len({tuple(sorted(row)) for row in rows.tolist()}) == len(phrases)
  for names in captions.NAMES.values():
    matcher_lib.tokenize(_SMALL, names)


def test_case_and_articles_do_not_matter():
  plain, other = matcher_lib.tokenize(
    _SMALL, ['bengal tiger', 'The Bengal TIGER']
  )
  np.testing.assert_array_equal(plain, other)


@pytest.mark.parametrize(
  'phrase, message', [('a blue whale', "no word 'whale'"), ('the', 'no words')]
)
def test_unknown_words_are_named(phrase, message):
  with pytest.raises(ValueError, match=message):
    matcher_lib.tokenize(_SMALL, [phrase])


def test_default_size():
  shapes = jax.eval_shape(
    lambda: (
      matcher_lib.create(
        jax.random.key(0), matcher_lib.MatcherConfig(_WORDS)
      ).params
    )
  )
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  assert 500_000 <= count <= 1_000_000


def test_probabilities_follow_their_phrases(small):
  images = _images(3)
  phrases = ['tiger', 'a giant panda', 'lit by red light from the left']
  chances = matcher_lib.probabilities(small, images, phrases)
  np.testing.assert_allclose(chances.sum(-1), 1.0, rtol=1e-5)
  turned = matcher_lib.probabilities(small, images, phrases[::-1])
  np.testing.assert_allclose(turned[:, ::-1], chances, rtol=1e-5)
  # One picture at a time gives the same answers.
  alone = matcher_lib.probabilities(small, images[1:2], phrases)
  np.testing.assert_allclose(alone[0], chances[1], rtol=1e-4)


def test_judge_answers_all_questions_in_pieces(small):
  images = _images(5)
  answers = matcher_lib.judge(small, images, batch_size=2)
  assert {name: x.shape for name, x in answers.items()} == {
    'kind': (5, len(creatures.KINDS)),
    'view': (5, len(studio_views.view_names())),
    'light': (5, len(studio_views.LIGHTINGS)),
  }
  whole = matcher_lib.kind_probabilities(small, jnp.asarray(images))
  np.testing.assert_allclose(answers['kind'], whole, rtol=1e-4)


def test_wrong_picture_size_is_refused(small, unchecked):
  with pytest.raises(ValueError, match='takes pictures'):
    matcher_lib.kind_probabilities(small, np.zeros((1, 32, 32, 3), np.float32))


def test_saved_and_loaded(small, tmp_path):
  matcher_lib.save(tmp_path / 'matcher', small)
  again = matcher_lib.load(tmp_path / 'matcher')
  assert again.module.config == _SMALL
  images = _images(2)
  # float16 keeps three digits of a weight.
  np.testing.assert_allclose(
    matcher_lib.kind_probabilities(again, images),
    matcher_lib.kind_probabilities(small, images),
    atol=1e-4,
  )


def test_broken_folders_are_refused(small, tmp_path):
  with pytest.raises(ValueError, match='no such folder'):
    matcher_lib.load(tmp_path / 'nowhere')
  matcher_lib.save(tmp_path, small)
  path = tmp_path / 'config.json'
  values = json.loads(path.read_text())
  path.write_text(json.dumps(values | {'model_type': 'clip'}))
  with pytest.raises(ValueError, match="describes 'clip'"):
    matcher_lib.load(tmp_path)
  path.write_text(json.dumps(values | {'features': 16}))
  with pytest.raises(ValueError, match='another shape'):
    matcher_lib.load(tmp_path)
