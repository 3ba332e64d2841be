"""A mask in a photo: on a face, or where a box says that a head is."""

import json

import numpy as np
from PIL import Image
import pytest

from configs import wear as config_lib
from maskjax.face import photo
from maskjax.geometry import color
from maskjax.training import settings as settings_lib
from maskjax.wear import image as image_lib, settings


def _settings(**changes):
  asked = settings_lib.read(settings.WearSettings, config_lib.get_config())
  changes = {name.replace('__', '.'): v for name, v in changes.items()}
  return settings_lib.changed(asked, changes)


def _wall(height=120, width=160):
  rng = np.random.default_rng(0)
  return rng.uniform(0.4, 0.6, (height, width, 3)).astype(np.float32)


def _covered(alone):
  rows = np.argwhere(alone[..., 3] > 127)
  return (*rows.min(0)[::-1], *(rows.max(0)[::-1] + 1))


def test_a_box_holds_the_mask(small_mask):
  box = (40.0, 20.0, 110.0, 100.0)
  worn, alone = image_lib.wear(_wall(), small_mask, _settings(place__box=box))
  left, top, right, bottom = _covered(alone)
  # Seen in perspective, what lies behind is smaller than its box.
  assert left >= 38 and right <= 112 and top >= 18 and bottom <= 102
  assert max((right - left) / 70, (bottom - top) / 80) > 0.85
  np.testing.assert_allclose((left + right) / 2, 75, atol=2)
  outside = alone[..., 3] == 0
  untouched = color.to_bytes(_wall())
  assert np.mean(worn[outside] != untouched[outside]) < 1e-3


def test_a_head_that_is_turned_has_its_mask_turned(small_mask):
  box = (40.0, 20.0, 110.0, 100.0)

  def covered(*pose):
    asked = _settings(place__box=box, place__pose=pose)
    return image_lib.wear(_wall(), small_mask, asked)[1][..., 3] > 127

  ahead, rolled = covered(0.0, 0.0, 0.0), covered(0.0, 0.0, 90.0)
  across = [np.ptp(np.argwhere(x), axis=0) for x in (ahead, rolled)]
  assert across[0][0] > across[0][1] and across[1][0] < across[1][1]
  right, left = covered(40.0, 0.0, 0.0), covered(-40.0, 0.0, 0.0)
  # Its rim stands out on the side that it is turned away from.
  assert np.argwhere(right)[:, 1].min() < np.argwhere(left)[:, 1].min() - 3
  assert np.argwhere(right)[:, 1].max() < np.argwhere(left)[:, 1].max() - 3


def test_a_box_outside_of_the_picture_is_told(small_mask):
  asked = _settings(place__box=(500.0, 20.0, 600.0, 100.0))
  with pytest.raises(ValueError, match='outside of the picture of 160 x 120'):
    image_lib.wear(_wall(), small_mask, asked)


def test_no_face_is_told_with_what_to_do(small_mask):
  with pytest.raises(ValueError, match=r'no face found.*place\.box') as caught:
    image_lib.wear(_wall(), small_mask, _settings(), name='wall.png')
  assert '\n' not in str(caught.value) and 'wall.png' in str(caught.value)


def test_a_photo_on_disk_is_worn(tmp_path, small_mask):
  astronaut = (255 * photo.astronaut()).astype(np.uint8)[:240, 100:340]
  path = str(tmp_path / 'me.png')
  Image.fromarray(astronaut).save(path)
  report = image_lib.run(path, small_mask, _settings(), tmp_path / 'out')
  worn = np.asarray(Image.open(tmp_path / 'out' / 'worn.png'))
  alone = np.asarray(Image.open(tmp_path / 'out' / 'mask_only.png'))
  assert worn.shape == (240, 240, 3) and alone.shape == (240, 240, 4)
  # Her face is there.
  left, top, right, bottom = _covered(alone)
  assert (
    abs((left + right) / 2 - 124) < 10 and abs((top + bottom) / 2 - 120) < 20
  )
  assert 60 < right - left < 120
  written = json.loads((tmp_path / 'out' / 'report.json').read_text())
  assert written == report and 0.05 < written['covered'] < 0.4
  clear = alone[..., 3] == 0
  assert np.mean(worn[clear] != astronaut[clear]) < 1e-3


def test_a_text_file_is_no_photo(tmp_path, small_mask):
  path = tmp_path / 'me.png'
  path.write_text('hello')
  with pytest.raises(ValueError, match='not a picture'):
    image_lib.run(str(path), small_mask, _settings(), tmp_path)
