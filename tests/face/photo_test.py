"""Photos are read whatever their format, and refused in one line."""

import numpy as np
from PIL import Image
import pytest
from skimage import data

from maskjax.face import photo


@pytest.fixture(scope='module')
def astronaut():
  return data.astronaut()[:300, 70:370]


def _read(path, picture, **options):
  picture.save(path, **options)
  return photo.read(path)


def test_a_photo_is_srgb_in_0_to_1(tmp_path, astronaut):
  image = _read(tmp_path / 'a.png', Image.fromarray(astronaut))
  np.testing.assert_allclose(image, astronaut / 255, atol=1e-6)


def test_grey_wide_transparent_and_turned_pictures(tmp_path, astronaut):
  grey = astronaut.mean(-1).round().astype(np.uint8)
  image = _read(tmp_path / 'grey.png', Image.fromarray(grey))
  np.testing.assert_allclose(image, grey[..., None].repeat(3, -1) / 255)
  wide = Image.fromarray(grey.astype(np.uint16) * 257)
  image = _read(tmp_path / 'wide.png', wide)
  np.testing.assert_allclose(image[..., 0], grey / 255, atol=3e-3)
  for top in (1, 255):
    floats = Image.fromarray(np.float32(grey) / np.float32(255 / top))
    image = _read(tmp_path / 'floats.tif', floats)
    np.testing.assert_allclose(image[..., 0], grey / 255, atol=3e-3)
  clear = Image.fromarray(astronaut).convert('RGBA')
  clear.putalpha(0)
  np.testing.assert_allclose(_read(tmp_path / 'clear.png', clear), 1.0)
  turned = Image.fromarray(astronaut)
  exif = turned.getexif()
  exif[0x0112] = 6  # the camera was held a quarter turn to the left
  image = _read(tmp_path / 'turned.png', turned, exif=exif)
  expected = np.rot90(astronaut, -1) / 255
  np.testing.assert_allclose(image, expected, atol=1e-6)


def test_large_photos_are_made_smaller(tmp_path):
  big = Image.new('RGB', (4000, 1000), 'red')
  assert _read(tmp_path / 'big.jpg', big).shape == (320, 1280, 3)


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (None, 'no such file'),
    (b'', 'not a picture, or a broken one'),
    (b'GIF89a', 'not a picture, or a broken one'),
    (b'hello', 'not a picture, or a broken one'),
  ],
)
def test_what_is_no_picture_is_refused(tmp_path, content, message):
  path = tmp_path / 'photo.png'
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(ValueError, match=rf'photo\.png: {message}'):
    photo.read(path)


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_a_torn_file_is_refused(tmp_path, astronaut, suffix):
  path = tmp_path / f'torn.{suffix}'
  Image.fromarray(astronaut).save(path)
  path.write_bytes(path.read_bytes()[:3000])
  with pytest.raises(ValueError, match='not a picture, or a broken one'):
    photo.read(path)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_floats_that_are_not_finite_are_refused(tmp_path, value):
  values = np.full((40, 40), 0.5, np.float32)
  values[3, 4] = value
  with pytest.raises(ValueError, match=r'bad\.tif has 1 pixels that are no'):
    _read(tmp_path / 'bad.tif', Image.fromarray(values))


def test_tiny_photos_are_refused(tmp_path):
  with pytest.raises(ValueError, match='is 40 x 20 pixels; a face needs at'):
    _read(tmp_path / 'tiny.png', Image.new('RGB', (40, 20)))


@pytest.mark.parametrize(
  ('image', 'message'),
  [
    (np.zeros((64, 64)), r'shape \(64, 64\); expected .*grey picture'),
    (np.zeros((64, 64, 4)), r'shape \(64, 64, 4\)'),
    (np.zeros((64, 64, 3), np.uint8), 'is uint8; expected floats'),
    (np.full((64, 64, 3), np.nan), '4096 pixels that are no numbers'),
    (np.full((64, 64, 3), 128.0), 'values from 128 to 128; expected'),
  ],
)
def test_arrays_that_are_no_photo_are_refused(image, message):
  with pytest.raises(ValueError, match=message):
    photo.look(image)


def test_no_face_is_one_line():
  coffee = data.chelsea()[:256, :256] * 0.0 + 0.5
  with pytest.raises(ValueError, match=r'no face found in cup\.png; it should'):
    photo.look(coffee.astype(np.float32), name='cup.png')


def test_the_largest_of_two_faces_is_taken(astronaut):
  small = np.asarray(Image.fromarray(astronaut).resize((200, 200)))
  both = np.full((300, 520, 3), 128, np.uint8)
  both[:, :300], both[50:250, 310:510] = astronaut, small
  for image, left in ((both, True), (both[:, ::-1], False)):
    face = photo.look(np.float32(image) / 255)
    assert face.others == 1
    assert (float(face.points[:, 0].mean()) < 0.5) == left


def test_one_face_with_everything(astronaut):
  face = photo.look(np.float32(astronaut) / 255)
  assert face.others == 0 and float(face.score) > 0.9
  assert float(face.head.error) < 1.0
  assert float(face.light.color.mean()) > 0.1
  with pytest.raises(ValueError, match='angle of view is 0'):
    photo.look(np.float32(astronaut) / 255, fovy=0)
