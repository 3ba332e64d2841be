"""The table of styles names every file of a style once."""

import importlib
import pathlib

import pytest

from configs import styles as styles_config
from maskjax.data.styles import (
  drawn_people,
  sheets,
  style as style_lib,
  style_images,
  styles,
)
from maskjax.training import settings

_FOLDER = pathlib.Path(styles.__file__).parent


def test_every_file_that_defines_a_style_has_a_row():
  defined = set()
  for path in _FOLDER.glob('*.py'):
    module = importlib.import_module(f'maskjax.data.styles.{path.stem}')
    style = getattr(module, 'STYLE', None)
    if style is not None:
      assert isinstance(style, style_lib.Style)
      assert styles.get(style.name) is style
      defined.add(style.name)
  assert defined == set(styles.NAMES) and len(defined) >= 6


@pytest.mark.parametrize('name', styles.NAMES)
def test_every_style_has_a_config(name):
  config = styles_config.get_config(name)
  recipe = settings.read(style_images.Recipe, config)
  assert recipe.style == name
  # What is fetched has a folder to be fetched to.
  assert bool(styles.get(name).fetch) == bool(recipe.emoji)
  tiny = styles_config.get_config(f'{name}-tiny')
  assert tiny.shards == 1 < config.shards


def test_numbers_of_sources_are_those_that_shards_hold():
  assert list(styles.SOURCES) == ['people', 'dicebear', 'fluent']


def test_second_styles_are_styles():
  seconds = {style.second for style in styles.STYLES.values()} - {''}
  assert seconds == {'dicebear'} and seconds <= set(styles.NAMES)


def test_the_styles_that_draw_people_are_known():
  names = sheets.drawn_names()
  assert names[:4] == ('caricature', 'pixar', 'cartoon', 'comic')
  assert styles.get('comic').source is drawn_people.SOURCE


def test_unknown_styles_are_named():
  with pytest.raises(ValueError, match="unknown style 'anime': use one of car"):
    styles.get('anime')
