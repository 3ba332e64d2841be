"""Emoji come in turn, with the words of their names."""

import itertools

import pytest

from maskjax.data.people import words as people_words
from maskjax.data.styles import emoji


@pytest.fixture
def folder(tmp_path):
  """Return a folder with a disc in place of every emoji."""
  image = pytest.importorskip('PIL.Image')
  draw = pytest.importorskip('PIL.ImageDraw')
  picture = image.new('RGBA', (64, 64))
  draw.Draw(picture).ellipse((8, 8, 56, 56), fill=(200, 30, 30, 255))
  for name in emoji.names() + emoji.smileys():
    picture.save(tmp_path / f'{name}.webp', lossless=True)
  return tmp_path


def test_emoji_come_in_turn_with_words(folder):
  count = len(emoji.names()) + len(emoji.smileys())
  drawn = emoji.pictures(folder=folder, size=16)
  shown = list(itertools.islice(drawn, 2 * count))
  order = [picture.identity for picture in shown]
  assert sorted(order[:count]) == list(range(count))
  assert order[:count] != order[count:]
  first = shown[0]
  assert first.camera is None and first.image[8, 8, 0] > 150
  words = emoji.caption('1f469-1f3ff-200d-1f9b1')
  assert words == 'a 3D emoji of a woman with curly hair, dark skin'
  assert emoji.caption('1f477-200d-2640-fe0f').startswith(
    'a 3D emoji of a woman, construction worker'
  )


def test_names_of_people_are_unlike_each_other_and_those_of_smileys():
  names = emoji.names() + emoji.smileys()
  assert len(set(names)) == len(names)
  assert '1f469-1f3fb-200d-1f52c' in names  # a scientist with light skin


def test_captions_tell_attributes():
  told = emoji.attributes(emoji.caption('1f468-1f3fb-200d-1f9b2'))
  assert set(told) == set(people_words.ATTRIBUTES)
  assert told['male'] and told['bald'] and told['fair skin']
  assert not told['child'] and not told['curly hair']
  old = emoji.attributes(emoji.caption('1f475'))
  assert old['old'] and not old['male']
