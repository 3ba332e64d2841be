"""Pictures of every kind come back as one sees them."""

import io
import struct
import time
import zlib

import numpy as np
from PIL import Image, ImageCms
import pytest

from maskjax.studio import pictures
from tests.weights.pointers_test import POINTER

SIDE = 32
RAMP = np.tile(np.arange(SIDE, dtype=np.uint8) * 8, (SIDE, 1))


@pytest.fixture
def save(tmp_path):
  def write(picture, name='a.png', **options):
    path = tmp_path / name
    if isinstance(picture, np.ndarray):
      picture = Image.fromarray(picture)
    picture.save(path, **options)
    return path

  return write


def test_sixteen_bits_are_as_eight(save):
  wide = save(RAMP.astype(np.uint16) * 257)
  for found in (
    pictures.read_grey(wide, SIDE),
    pictures.read_square(wide, SIDE)[..., 0],
    pictures.read(wide, max_side=SIDE)[..., 0],
  ):
    np.testing.assert_allclose(found, RAMP / 255, atol=1 / 255)


def test_cut_outs_lie_over_white(save):
  cut = np.zeros((SIDE, SIDE, 4), np.uint8)
  cut[8:24, 8:24] = (200, 10, 10, 255)
  path = save(cut)
  for found in (
    pictures.read_square(path, SIDE),
    pictures.read(path, max_side=SIDE),
  ):
    np.testing.assert_allclose(found[0, 0], 1.0)
    np.testing.assert_allclose(found[16, 16] * 255, (200, 10, 10), atol=1)


def _mask(ground, shape):
  """Draw a square of one colour on a ground of another, RGBA."""
  values = np.empty((SIDE, SIDE, 4), np.uint8)
  values[:], values[8:24, 8:24] = ground, shape
  return values


WHITE, BLACK = (255, 255, 255, 255), (0, 0, 0, 255)


@pytest.mark.parametrize(
  'ground, shape',
  [
    (BLACK, WHITE),
    ((255, 255, 255, 0), WHITE),  # in the alpha channel of white,
    ((0, 0, 0, 0), BLACK),  # of black,
    ((0, 0, 0, 0), WHITE),  # and painted on transparent ground
    ((7, 9, 8, 0), (200, 30, 30, 255)),
  ],
)
def test_masks_are_read_wherever_they_are(save, ground, shape):
  mask = pictures.read_mask(save(_mask(ground, shape)), SIDE)
  assert mask[0, 0] == 0 and mask[16, 16] == 1
  assert mask.shape == (SIDE, SIDE)


def test_what_is_transparent_of_a_mask_of_greys_is_black(save):
  values = _mask((255, 255, 255, 0), WHITE)
  values[8:24, 8:16] = BLACK
  mask = pictures.read_mask(save(values), SIDE)
  assert mask[0, 0] == 0 and mask[16, 10] == 0 and mask[16, 20] == 1


@pytest.mark.parametrize('colour', [WHITE, BLACK, (9, 9, 9, 0), (5, 5, 5, 99)])
def test_flat_masks_are_refused(save, colour):
  path = save(_mask(colour, colour))
  with pytest.raises(ValueError, match='mask is the same everywhere') as error:
    pictures.read_mask(path, SIDE)
  assert '\n' not in str(error.value)


def _profile(gamma=1.0):
  """Return the profile of a colour space wider than sRGB."""
  xy = ((0.72, 0.27), (0.2, 0.75), (0.14, 0.04))
  white = np.array([0.9642, 1.0, 0.8249])
  rgb = np.array([[x / y, 1, (1 - x - y) / y] for x, y in xy]).T
  rgb = rgb * np.linalg.solve(rgb, white)
  number = lambda v: struct.pack('>i', round(v * 65536))
  tags = {
    b'desc': b'desc\0\0\0\0' + struct.pack('>I', 5) + b'wide\0' + bytes(79)
  }
  tags[b'wtpt'] = b'XYZ \0\0\0\0' + b''.join(map(number, white))
  for name, column in zip((b'rXYZ', b'gXYZ', b'bXYZ'), rgb.T):
    tags[name] = b'XYZ \0\0\0\0' + b''.join(map(number, column))
  curve = b'curv\0\0\0\0' + struct.pack('>IH', 1, round(gamma * 256)) + b'\0\0'
  tags |= dict.fromkeys((b'rTRC', b'gTRC', b'bTRC'), curve)
  tags[b'cprt'] = b'text\0\0\0\0none\0\0\0\0'
  table, body = b'', b''
  for name, data in tags.items():
    data += bytes(-len(data) % 4)
    start = 132 + 12 * len(tags) + len(body)
    table += name + struct.pack('>II', start, len(data))
    body += data
  size = 132 + len(table) + len(body)
  head = struct.pack('>I4s', size, b'none') + b'\x02\x10\0\0mntrRGB XYZ '
  head += bytes(12) + b'acsp' + bytes(28) + b''.join(map(number, white))
  head += bytes(128 - len(head))
  return head + struct.pack('>I', len(tags)) + table + body


def test_profiles_are_converted(save):
  colour = np.full((SIDE, SIDE, 3), (180, 90, 60), np.uint8)
  own = ImageCms.ImageCmsProfile(io.BytesIO(_profile(2.2)))
  stored = ImageCms.profileToProfile(
    Image.fromarray(colour), ImageCms.createProfile('sRGB'), own,
    renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
  )  # fmt: skip
  assert np.abs(np.asarray(stored, int) - colour).max() > 20
  path = save(stored, icc_profile=_profile(2.2))
  found = pictures.read(path, max_side=SIDE) * 255
  np.testing.assert_allclose(found, colour, atol=2)
  # With transparency, too.
  stored.putalpha(Image.fromarray(np.uint8(RAMP > 100) * 255))
  found = pictures.read(save(stored, icc_profile=_profile(2.2)), max_side=SIDE)
  np.testing.assert_allclose(found[:, -1] * 255, colour[:, 0], atol=2)
  np.testing.assert_allclose(found[:, 0], 1)
  # A broken one says nothing.
  path = save(colour, icc_profile=b'no profile')
  np.testing.assert_allclose(
    pictures.read(path, max_side=SIDE) * 255, colour, atol=1e-3
  )


def test_pictures_of_printers_are_read(save):
  path = save(Image.new('CMYK', (SIDE, SIDE), (0, 255, 255, 0)), 'a.jpg')
  red = pictures.read(path, max_side=SIDE)[0, 0]
  np.testing.assert_allclose(red, (1, 0, 0), atol=0.03)


def test_a_very_large_jpeg_is_read_by_parts(save):
  path = save(Image.new('L', (16_320, 12_240), 128), 'a.jpg', quality=5)
  image = pictures.read(path, max_side=64)
  assert image.shape == (48, 64, 3)
  np.testing.assert_allclose(image, 128 / 255, atol=2 / 255)


def _claims(path, width, height):
  """Write a PNG that claims to be large."""
  chunk = lambda name, data: (
    struct.pack('>I', len(data)) + name + data
    + struct.pack('>I', zlib.crc32(name + data))
  )  # fmt: skip
  head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
  data = chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(bytes(100)))
  path.write_bytes(b'\x89PNG\r\n\x1a\n' + data + chunk(b'IEND', b''))
  return path


def test_too_many_pixels_are_refused_with_the_limit(tmp_path):
  path = _claims(tmp_path / 'a.png', 100_000, 100_000)
  began = time.process_time()
  with pytest.raises(ValueError, match='10,000 million, where 100 million'):
    pictures.read(path, max_side=64)
  assert time.process_time() - began < 1


def test_what_is_no_picture_is_one_line(tmp_path):
  path = tmp_path / 'a.png'
  with pytest.raises(ValueError, match=r'a\.png: no such file'):
    pictures.read_mask(path, SIDE)
  path.write_text(POINTER)
  with pytest.raises(ValueError, match='Git LFS'):
    pictures.read_mask(path, SIDE)
  # Pillow would hand it to Ghostscript.
  path.write_text('%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n')
  with pytest.raises(ValueError, match='not a picture, or a broken one'):
    pictures.read_square(path, SIDE)
