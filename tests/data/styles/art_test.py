"""Tests of the drawn heads, on a small made-up package and, where it is
installed, on the real font."""

import subprocess

import numpy as np
import pytest

from maskjax.data.styles import art

PIL_Image = pytest.importorskip('PIL.Image')
PIL_ImageDraw = pytest.importorskip('PIL.ImageDraw')


def _disc(width=40, box=(4, 8, 20, 24)):
  picture = PIL_Image.new('RGBA', (width, width))
  PIL_ImageDraw.Draw(picture).ellipse(box, fill=(200, 100, 50, 255))
  return picture


@pytest.fixture
def package(tmp_path, monkeypatch):
  """Return a folder as npm unpacks it, off-centre discs for heads; no font."""
  folder = tmp_path / 'package' / 'assets'
  folder.mkdir(parents=True)
  for name in art.selection('3D emoji'):
    _disc().save(folder / f'{name}.webp', lossless=True)
  font = tmp_path / 'NotoColorEmoji.ttf'
  font.write_bytes(b'not a font')
  return tmp_path


@pytest.fixture
def without_font(monkeypatch):
  def draw(path, names):
    yield from (_disc(64, (0, 0, 30, 60)) for _ in names)

  monkeypatch.setattr(art, '_draw_noto', draw)


def test_parse_code_points():
  assert art.parse_code_points('1f42f') == (0x1F42F,)
  points = (0x1F43B, 0x200D, 0x2744, 0xFE0F)
  assert art.parse_code_points('1f43b-200d-2744-fe0f') == points


@pytest.mark.parametrize(
  'name', ['', 'tiger', '1f42f-', '110000', 'd800', '-1f42f']
)
def test_parse_code_points_rejects(name):
  with pytest.raises(ValueError, match='hexadecimal'):
    art.parse_code_points(name)


@pytest.mark.parametrize(
  'name, style, words',
  [
    ('1f42f', '3D emoji', 'tiger face, 3D emoji style, front view'),
    ('1f42f', 'flat cartoon', 'tiger face, flat cartoon style'),
    ('1f434', 'flat cartoon', 'horse face, flat cartoon style, side view'),
    ('1face', '3D emoji', 'moose face, 3D emoji style, side view'),
    (
      '1f468-1f3ff',
      '3D emoji',
      'man with dark skin, 3D emoji style, front view',
    ),
    # Fluent's file of the second tone shows the third, and the reverse.
    (
      '1f468-1f3fc',
      '3D emoji',
      'man with medium skin, 3D emoji style, front view',
    ),
    (
      '1f468-1f3fc',
      'flat cartoon',
      'man with medium light skin, flat cartoon style',
    ),
  ],
)
def test_caption(name, style, words):
  assert art.caption(name, style) == words


def test_caption_without_a_unicode_name():
  with pytest.raises(ValueError, match='no Unicode name'):
    art.caption('10ffff', '3D emoji')


def test_kind_is_a_whole_word():
  assert art.kind('1f42f') == 'tiger'
  assert art.kind('1f43b-200d-2744-fe0f') == 'bear'
  assert art.kind('1f9d4') == ''  # 'bearded person' is no bear
  assert art.kind('1f63f') == 'cat'
  assert art.kind('1f600') == ''


@pytest.mark.parametrize('style', art.STYLES)
def test_selection_has_no_doubles_and_a_caption_each(style):
  names = art.selection(style)
  captions = [art.caption(name, style) for name in names]
  assert len(set(names)) == len(names) > 150
  assert len(set(captions)) == len(captions)
  assert not {'1f643', '1f64f', '1f418', '1f43d'} & set(names)  # no heads


def test_unknown_style():
  with pytest.raises(ValueError, match='unknown art style'):
    art.selection('oil')


def test_load_frames_heads_alike(package, without_font):
  data = art.load(package, package / 'NotoColorEmoji.ttf', 64)
  count = sum(len(art.selection(style)) for style in art.STYLES)
  assert data.images.shape == (count, 64, 64, 4)
  assert data.images.dtype == np.uint8
  assert len(data.captions) == len(data.kinds) == len(data.style) == count
  alpha = data.images[..., 3] / 255
  diameter = 2 * np.sqrt(alpha.sum((1, 2)) / np.pi) / 64
  np.testing.assert_allclose(diameter, art.HEAD_WIDTH, atol=0.02)
  pixels = np.arange(64) - 31.5
  for axis in (1, 2):  # half a pixel: what a rounded outline can shift
    centre = alpha.sum(3 - axis) @ pixels / alpha.sum((1, 2))
    np.testing.assert_allclose(centre, 0, atol=0.5)
  edge = int(64 * art.MARGIN) - 1
  assert not alpha[:, :edge].any() and not alpha[:, :, -edge:].any()
  color = data.images[0, 32, 32]
  np.testing.assert_array_equal(color, (200, 100, 50, 255))


def test_load_is_the_same_twice_and_filters_kinds(package, without_font):
  font = package / 'NotoColorEmoji.ttf'
  first = art.load(package, font, 16)
  second = art.load(package, font, 16, kinds=('tiger', 'cat'))
  np.testing.assert_array_equal(first.images, second.images)
  assert first.captions == second.captions
  assert {'tiger', 'cat', 'robot'} < set(first.kinds)
  assert set(second.kinds) == {'tiger', 'cat', ''}


def test_load_error_lines(package):
  font = package / 'NotoColorEmoji.ttf'
  with pytest.raises(ValueError, match='not the bitmap font'):
    art.load(package, font, 16)
  with pytest.raises(ValueError, match='no font file at'):
    art.load(package, package / 'none.ttf', 16)
  with pytest.raises(ValueError, match='expected 8 or more'):
    art.load(package, font, 4)
  broken = package / 'package' / 'assets' / '1f600.webp'
  broken.write_bytes(b'RIFF')
  with pytest.raises(ValueError, match=r'1f600\.webp is broken'):
    art.load(package, font, 16)
  broken.unlink()
  with pytest.raises(ValueError, match=r'1 of .* missing .*1f600\.webp'):
    art.load(package, font, 16)


def test_missing_font_tells_what_to_install(tmp_path, monkeypatch):
  monkeypatch.setattr(art, '_FONT_FOLDERS', (str(tmp_path / 'none'),))
  with pytest.raises(ValueError, match='install fonts-noto-color-emoji'):
    art.fetch(tmp_path)
  font = tmp_path / 'fonts' / 'deep' / 'NotoColorEmoji.ttf'
  font.parent.mkdir(parents=True)
  font.touch()
  monkeypatch.setattr(art, '_FONT_FOLDERS', (str(tmp_path / 'fonts'),))
  assert art.find_font() == font


def test_fetch_keeps_what_is_there(package):
  font = package / 'NotoColorEmoji.ttf'
  assert art.fetch(package, font) == font


@pytest.mark.parametrize(
  'error, words',
  [
    (FileNotFoundError(), 'npm is not installed'),
    (
      subprocess.CalledProcessError(1, 'npm', stderr='npm error\n404'),
      'could not get .*: npm error 404',
    ),
  ],
)
def test_fetch_error_lines(tmp_path, monkeypatch, error, words):
  def run(*_, **__):
    raise error

  font = tmp_path / 'NotoColorEmoji.ttf'
  font.touch()
  monkeypatch.setattr(subprocess, 'run', run)
  with pytest.raises(ValueError, match=words):
    art.fetch(tmp_path / 'art', font)


def _heads(size=32):
  random = np.random.default_rng(0)
  images = random.integers(0, 256, (3, size, size, 4), np.uint8)
  return images * (np.arange(3) > 0).astype(np.uint8)[:, None, None, None]


def test_compose_is_alpha_over():
  images = _heads()
  background = np.array([[0.1, 0.5, 0.9]] * 3, np.float32)
  rgb, mask = art.compose(images, background)
  alpha = images[..., 3:] / 255
  expected = alpha * images[..., :3] / 255
  expected += (1 - alpha) * background[:, None, None]
  # float32 sums of 32 products
  np.testing.assert_allclose(rgb, expected, atol=1e-6)
  np.testing.assert_allclose(mask, alpha, atol=1e-6)
  scenes = np.broadcast_to(background[:, None, None], rgb.shape)
  np.testing.assert_array_equal(art.compose(images, scenes)[0], rgb)
  one = art.compose(images, background[0])[0]
  np.testing.assert_array_equal(one, rgb)


@pytest.mark.parametrize('scale', [0.7, 1.2])
def test_compose_scales_about_the_middle(scale):
  images = np.zeros((2, 64, 64, 4), np.uint8)
  images[:, 20:44, 24:40] = 255
  rgb, mask = art.compose(images, np.zeros(3), np.array([1.0, scale]))
  plain, zoomed = mask[..., 0]
  # 2 %: the triangle filter's weights sum to 1 only on average
  ratio = zoomed.sum() / plain.sum()
  np.testing.assert_allclose(ratio, scale**2, rtol=0.02)
  height, width = zoomed.sum(0).max(), zoomed.sum(1).max()
  np.testing.assert_allclose((height, width), (24 * scale, 16 * scale), 0.02)
  np.testing.assert_allclose(zoomed, zoomed[::-1, ::-1], atol=1e-5)
  np.testing.assert_allclose(rgb[1, 32, 32], 1, atol=1e-6)


def test_compose_error_lines(unchecked):
  images = _heads()
  with pytest.raises(ValueError, match='images have shape'):
    art.compose(images[..., :3], np.zeros(3))
  with pytest.raises(ValueError, match='images have shape'):
    art.compose(images[:, :8], np.zeros(3))
  with pytest.raises(ValueError, match='not above 0'):
    art.compose(images, np.zeros(3), 0.0)
  with pytest.raises(ValueError, match='background has shape'):
    art.compose(images, np.zeros((2, 3)))


def test_real_font_draws_the_heads():
  try:
    font = art.find_font()
  except ValueError:
    pytest.skip('the Noto emoji font is not installed')
  names = ['1f42f', '1f43b-200d-2744-fe0f', '1f468-1f3ff']
  glyphs = list(art._draw_noto(font, names))
  assert all(glyph.width < 150 for glyph in glyphs)  # sequences are joined
  tiger = np.asarray(glyphs[0])[..., :3][np.asarray(glyphs[0])[..., 3] > 250]
  red, _, blue = tiger.mean(0)
  assert red > 2 * blue  # orange
  with pytest.raises(ValueError, match='too old'):
    list(art._draw_noto(font, ['10ffff']))
