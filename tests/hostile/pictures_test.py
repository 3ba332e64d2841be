"""Pictures that somebody made to do harm, or that are broken."""

import io
import struct
import zlib

import numpy as np
from PIL import Image
import pytest

from maskjax.studio import pictures
from tests.hostile import guard
from tests.hostile.meshes_test import EPS, png

FORMATS = ('PNG', 'JPEG', 'GIF', 'BMP', 'TIFF', 'WEBP', 'PPM', 'TGA', 'ICO')


def raw(data, name='a.png'):
  """Return a maker of a file of some bytes."""

  def make(folder):
    path = folder / name
    path.write_bytes(data)
    return path

  return make


def saved(kind, **options):
  """Return a small picture in a format."""
  file = io.BytesIO()
  values = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
  Image.fromarray(values).save(file, kind, **options)
  return file.getvalue()


def _chunk(kind, data):
  body = kind + data
  length, check = (
    struct.pack('>I', len(data)),
    struct.pack('>I', zlib.crc32(body)),
  )
  return length + body + check


def _with_chunk(kind, data, count=1):
  """Return a PNG with more behind its header."""
  whole = saved('PNG')
  return whole[:33] + _chunk(kind, data) * count + whole[33:]


def _tiff(tag, value):
  """Return a TIFF of which one number is another."""
  data = bytearray(saved('TIFF'))
  (at,) = struct.unpack_from('<I', data, 4)
  (count,) = struct.unpack_from('<H', data, at)
  for number in range(count):
    entry = at + 2 + 12 * number
    if struct.unpack_from('<H', data, entry)[0] == tag:
      struct.pack_into('<HHII', data, entry, tag, 4, 1, value)
  return bytes(data)


def _jpeg(width, height):
  """Return a JPEG that says it is of another size."""
  data = bytearray(saved('JPEG'))
  at = data.index(b'\xff\xc0')
  struct.pack_into('>HH', data, at + 5, height, width)
  return bytes(data)


ZEROS = zlib.compress(bytes(200 * 2**20), 9)
BROKEN = 'not a picture, or a broken one'
CASES = {
  'nothing': (raw(b''), BROKEN),
  'noise': (raw(bytes(range(256)) * 40), BROKEN),
  'text': (raw(b'hello\n'), BROKEN),
  # Pillow hands these to other programs, or reads them as something else.
  'a program': (raw(EPS, 'a.eps'), BROKEN),
  'a program called a picture': (raw(EPS), BROKEN),
  'a document': (raw(b'%PDF-1.7\n%%EOF\n', 'a.pdf'), BROKEN),
  'a drawing': (
    raw(b'<svg/>', 'a.svg'),
    BROKEN,
  ),
  'a file': (
    raw(b'\xd7\xcd\xc6\x9a\x00\x00' + bytes(100), 'a.wmf'),
    BROKEN,
  ),
  'a film': (raw(b'\x00\x00\x01\xb3' + bytes(100), 'a.mpg'), BROKEN),
  'a PNG of 3,600 megapixels': (raw(png(60_000, 60_000)), 'too many pixels'),
  'a PNG of 2^31 columns': (raw(png(2**31 - 1, 1)), 'too many pixels'),
  'a PNG of no rows': (raw(png(10, 0)), BROKEN),
  'a PNG that is cut off': (raw(png(100, 100)), BROKEN),
  'a PNG of words that unpack to 200 MB': (
    raw(_with_chunk(b'zTXt', b'a\0\0' + ZEROS)),
    BROKEN,
  ),
  'a PNG of a profile that unpacks to 200 MB': (
    raw(_with_chunk(b'iCCP', b'a\0\0' + ZEROS)),
    BROKEN,
  ),
  'a PNG of a broken profile': (
    raw(_with_chunk(b'iCCP', b'a\0\0' + zlib.compress(b'no profile'))),
    None,
  ),
  'a PNG of 20,000 words': (raw(_with_chunk(b'tEXt', b'a\0b', 20_000)), None),
  'a JPEG of 65,500 a side': (raw(_jpeg(65_500, 65_500), 'a.jpg'), 'too many'),
  'a JPEG of no rows': (raw(_jpeg(48, 0), 'a.jpg'), BROKEN),
  'a PPM of 10^10 pixels': (
    raw(b'P6 100000 100000 255\n', 'a.ppm'),
    'too many',
  ),
  'a PPM of a size of 10,000 digits': (
    raw(b'P6 ' + b'9' * 10_000 + b' 1 255\n', 'a.ppm'),
    BROKEN,
  ),
  'a PPM of words': (raw(b'P3 4 4 255\n a b c\n', 'a.ppm'), BROKEN),
  'a TIFF of 2^31 columns': (raw(_tiff(256, 2**31 - 1), 'a.tif'), 'too many'),
  'a TIFF of 2^31 samples': (raw(_tiff(277, 2**31 - 1), 'a.tif'), BROKEN),
  'a TIFF of another compression': (raw(_tiff(259, 50_000), 'a.tif'), BROKEN),
  'a TIFF of strips elsewhere': (raw(_tiff(273, 2**31 - 1), 'a.tif'), BROKEN),
  'floats that are none': (
    lambda folder: _floats(folder, np.full((40, 40), np.nan, np.float32)),
    'no numbers',
  ),
  'a folder': (lambda folder: folder, 'no such file'),
  'nothing at all': (lambda folder: folder / 'a.png', 'no such file'),
  **{
    f'half a {kind}': (
      raw(saved(kind)[: len(saved(kind)) // 2], f'a.{kind.lower()}'),
      BROKEN,
    )
    for kind in FORMATS
  },
}


def _floats(folder, values):
  Image.fromarray(values).save(folder / 'a.tif')
  return folder / 'a.tif'


@guard.table(CASES)
def test_hostile_pictures(make, expected, tmp_path):
  guard.check(
    lambda path: pictures.read(path, max_side=64), make(tmp_path), expected
  )


@pytest.mark.parametrize('read', [pictures.read_grey, pictures.read_square])
def test_hostile_masks(read, tmp_path):
  path = raw(png(60_000, 60_000))(tmp_path)
  guard.check(lambda path: read(path, 64), path, 'too many pixels')
