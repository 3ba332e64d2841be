"""Traits: drawn around their means, and changed by words."""

import dataclasses

import numpy as np
import pytest

from maskjax.data.creatures import coats, traits

_PALETTE = {
  'base': '#808080', 'light': '#c0c0c0', 'white': '#fbfbf8',
  'iris': '#3f8fd8', 'hair': '#402010', 'mark': '#202020',
}  # fmt: skip


def _sample(seed, *words, **options):
  rng = np.random.default_rng(seed)
  return traits.sample(rng, 'cat', words, palette=_PALETTE, **options)


def test_the_mean_has_its_palette_and_no_deviation():
  mean = traits.mean('cat', _PALETTE)
  np.testing.assert_array_equal(mean.colors['base'], coats.hex_color('#808080'))
  assert mean.width == mean.ear == mean.pattern == 1
  assert mean.tilt == mean.smile == mean.gape == mean.age == 0


def test_factors_stray_evenly_around_one():
  drawn = [_sample(seed) for seed in range(300)]
  for name in ('width', 'ear', 'muzzle', 'pattern'):
    logs = np.log([getattr(t, name) for t in drawn])
    assert abs(logs.mean()) < 0.03 and 0.03 < logs.std() < 0.2
  # The whites of eyes and teeth are never tinted.
  white = coats.hex_color('#fbfbf8')
  for head in drawn[:20]:
    np.testing.assert_array_equal(head.colors['white'], white)
  assert np.mean([head.gape > 0 for head in drawn]) < 0.6


def test_breeds_come_for_about_half():
  red = {'base': '#ff0000'}
  drawn = [_sample(seed, breeds=(red,)) for seed in range(200)]
  share = np.mean([t.colors['base'][0] > 0.5 for t in drawn])
  assert 0.4 < share < 0.7


def test_moods_bend_brows_and_mouth():
  rng = np.random.default_rng(0)
  plain = traits.mean('cat', _PALETTE)
  angry, happy, sad = (traits.modify(plain, word, rng) for word in traits.MOODS)
  assert angry.tilt > 0.7 > 0 > sad.tilt and sad.smile < -0.7
  assert happy.smile > 0.7 and happy.cheek > plain.cheek
  assert sad.gape == 0


def test_ages_are_opposite():
  rng = np.random.default_rng(0)
  plain = traits.mean('cat', _PALETTE)
  young, old = (traits.modify(plain, word, rng) for word in traits.AGES)
  assert young.age < 0 < old.age
  assert young.eye > plain.eye > old.eye and young.nose < old.nose
  # Old coats grey: their hair comes nearer to grey.
  grey = coats.hex_color('#d9d7d2')
  before = np.linalg.norm(plain.colors['hair'] - grey)
  assert np.linalg.norm(old.colors['hair'] - grey) < 0.5 * before
  assert young.colors is plain.colors


@pytest.mark.parametrize('word', traits.COLORS)
def test_colours_are_those_of_their_word(word):
  tinted = traits.tint(traits.mean('cat', _PALETTE), word)
  base = coats.hex_color(coats.TINTS[word][0])
  assert np.abs(tinted.colors['base'] - base).max() < 0.2
  assert tinted.colors['iris'] is not None
  again = traits.tint(traits.mean('cat', _PALETTE), word)
  np.testing.assert_array_equal(tinted.colors['base'], again.colors['base'])


def test_materials_are_kept_for_the_finish():
  plain = traits.mean('cat', _PALETTE)
  stone = traits.modify(plain, 'stone', np.random.default_rng(0))
  assert stone == dataclasses.replace(plain, material='stone')


def test_unknown_words_are_named():
  with pytest.raises(ValueError, match="unknown modifier 'wet': use one of"):
    _sample(0, 'wet')
