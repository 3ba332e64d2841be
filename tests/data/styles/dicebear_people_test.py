"""DiceBear's people: what their components say, and their pictures."""

import itertools

import numpy as np
import pytest

from maskjax.data.people import words as people_words
from maskjax.data.styles import dicebear_people


def test_components_tell_attributes():
  told = dicebear_people.attributes(
    {
      'hairVariant': 'LongCurly',
      'mouthVariant': 'laughing',
      'glassesVariant': 'round',
      'skinColor': ['#ffe0c0'],
    }
  )
  assert set(told) == set(people_words.ATTRIBUTES)
  holding = {name for name, holds in told.items() if holds}
  assert holding == {
    'long hair', 'curly hair', 'smiling', 'mouth open', 'glasses', 'fair skin',
  }  # fmt: skip
  # Without a colour the skin is neither fair nor dark.
  none = dicebear_people.attributes({})
  assert not any(none.values())
  assert dicebear_people.attributes({'baseColor': ['#402010']})['dark skin']


def test_dicebear_draws_people_with_attributes():
  pytest.importorskip('dicebear')
  first, second = itertools.islice(dicebear_people.pictures(size=32), 2)
  again = next(dicebear_people.pictures(size=32, start=1))
  np.testing.assert_array_equal(again.image, second.image)
  assert first.image.std() > 10 and first.caption.startswith('a cartoon')
  drawn = itertools.islice(dicebear_people.pictures(size=16), 60)
  told = [p.attributes for p in drawn]
  for name in ('glasses', 'smiling', 'long hair'):
    assert 0.02 < np.mean([t[name] for t in told]) < 0.98, name
  assert 'CC BY 4.0' in dicebear_people.licence('micah')
  with pytest.raises(ValueError, match='unknown DiceBear style'):
    next(dicebear_people.pictures(names=('cubist',)))
