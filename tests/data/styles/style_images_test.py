"""Sets of pictures in shards, whatever their style."""

import dataclasses
import itertools

import numpy as np
import pytest

from configs import styles as styles_config
from maskjax.data import shards
from maskjax.data.styles import style as style_lib, style_images, styles
from maskjax.training import settings

# Read at once: the tests replace the table of styles.
_TINY = {
  name: settings.read(
    style_images.Recipe, styles_config.get_config(f'{name}-tiny')
  )
  for name in ('comic', 'emoji')
}


def _recipe(name='comic', **changes):
  return dataclasses.replace(_TINY[name], **changes)


@pytest.fixture
def two_styles(monkeypatch):
  """Styles of plain pictures: 'grey', whose second one is 'red'."""

  def pictures(color):
    def draw(*, seed, size, start):
      for number in itertools.count(start):
        yield style_lib.StylePicture(
          image=np.full((size, size, 3), color, np.uint8),
          caption=f'{number} of {seed}',
          attributes={'male': True},
          camera=None,
          landmarks=None,
          identity=number,
        )

    return draw

  sources = [
    style_lib.Source(name, lambda name=name: [{'origin': name}])
    for name in ('first', 'other')
  ]
  red = style_lib.Style(
    name='red', source=sources[1], pictures=pictures((200, 0, 0))
  )
  grey = style_lib.Style(
    name='grey', source=sources[0], pictures=pictures(90), second='red'
  )
  monkeypatch.setattr(styles, 'STYLES', {'grey': grey, 'red': red})
  monkeypatch.setattr(styles, 'SOURCES', {s.name: s for s in sources})


def test_shards_number_their_pictures_on(two_styles, tmp_path):
  recipe = _recipe(style='grey', seed=5, count=3, size=4)
  for index in (0, 1):
    path = shards.path(tmp_path, 'grey', index)
    style_images.build_shard(path, index, recipe=recipe)
  images = style_images.load(sorted(tmp_path.glob('*.npz')))
  np.testing.assert_array_equal(images.identity, np.arange(6))
  assert list(images.caption) == [f'{k} of 5' for k in range(6)]
  assert images.rgb.shape == (6, 4, 4, 3) and not images.source.any()
  assert np.isnan(images.camera).all() and np.isnan(images.landmarks).all()
  # What a source tells is 0 or 1, the rest unknown.
  assert set(np.unique(images.attributes)) == {1, 255}
  assert np.mean(images.attributes == 1) == 1 / images.attributes.shape[1]


def test_half_of_a_set_may_be_of_a_second_style(two_styles, tmp_path):
  recipe = _recipe(style='grey', count=4, size=2, dicebear=True)
  path = shards.path(tmp_path, 'grey', 1)
  style_images.build_shard(path, 1, recipe=recipe)
  images = style_images.load([path])
  np.testing.assert_array_equal(images.source, [0, 0, 1, 1])
  np.testing.assert_array_equal(images.identity, [2, 3, 2, 3])
  np.testing.assert_array_equal(images.rgb[:, 0, 0, 0], [90, 90, 200, 200])
  told = style_images.manifest(tmp_path, recipe)
  assert told['sources'] == [{'origin': 'first'}, {'origin': 'other'}]


def test_a_set_is_built_with_its_manifest(two_styles, tmp_path, capsys):
  recipe = _recipe(style='red', count=2, size=2, shards=2)
  style_images.build(tmp_path, recipe, workers=1)
  told = style_images.manifest(tmp_path, recipe)
  assert (tmp_path / 'manifest.json').exists() and told['images'] == 4
  assert told['recipe']['style'] == 'red'
  assert told['sources'] == [{'origin': 'other'}]
  assert '2/2' in capsys.readouterr().err


def test_shards_of_people(tmp_path):
  path = shards.path(tmp_path, 'comic', 1)
  recipe = _recipe(seed=3, count=2, size=64)
  style_images.build_shard(path, 1, recipe=recipe)
  images = style_images.load([path])
  np.testing.assert_array_equal(images.identity, [2, 3])
  drawn = styles.get('comic').pictures(seed=3, size=64, start=2)
  np.testing.assert_array_equal(images.rgb[0], next(drawn).image)
  assert np.isfinite(images.camera).all()
  told = style_images.manifest(tmp_path, recipe)
  assert told['images'] == 2 and told['sources'][0]['licence'] == 'CC0-1.0'


def test_unknown_styles_are_named(tmp_path):
  path = tmp_path / 'a.npz'
  with pytest.raises(ValueError, match='unknown style'):
    style_images.build_shard(path, 0, recipe=_recipe(style='anime'))
  recipe = _recipe('emoji', emoji='')
  with pytest.raises(ValueError, match='needs the folder'):
    style_images.build_shard(path, 0, recipe=recipe)
  with pytest.raises(ValueError, match="'anime' is not one of"):
    styles_config.get_config('anime')
