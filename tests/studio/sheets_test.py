"""Contact sheets: pictures stand where they should, words beside them."""

import numpy as np
from PIL import Image
import pytest

from maskjax.studio import sheets


def _plain(height, width, value):
  return np.full((height, width, 3), value, np.uint8)


def test_a_grid_puts_rows_below_each_other_without_a_gap():
  pictures = [_plain(2, 3, value) for value in range(5)]
  sheet = sheets.grid(sheets.in_rows(pictures, 2))
  assert sheet.shape == (6, 6, 3) and sheet.dtype == np.uint8
  for index, picture in enumerate(pictures):
    top, left = 2 * (index // 2), 3 * (index % 2)
    np.testing.assert_array_equal(
      sheet[top : top + 2, left : left + 3], picture
    )
  # The last row has a place to spare.
  np.testing.assert_array_equal(sheet[4:, 3:], 255)


def test_a_grid_of_blocks_of_different_heights_is_filled_with_white():
  low, high = _plain(2, 3, 7), _plain(5, 4, 9)
  sheet = sheets.grid([[low, high], [low]], gap=4)
  assert sheet.shape == (5 + 4 + 2, 3 + 4 + 4, 3)
  expected = _plain(11, 11, 255)
  expected[:2, :3] = 7
  expected[:5, 7:] = 9
  expected[9:, :3] = 7
  np.testing.assert_array_equal(sheet, expected)


def test_pictures_are_dealt_out_in_reading_order():
  pictures = [_plain(1, 1, value) for value in range(7)]
  rows = sheets.in_rows(pictures)
  assert [len(row) for row in rows] == [3, 3, 1]  # about square
  assert [int(p[0, 0, 0]) for row in rows for p in row] == list(range(7))
  with pytest.raises(ValueError, match='at least one picture'):
    sheets.in_rows([])


def test_a_titled_sheet_shows_pictures_titles_and_captions():
  rng = np.random.default_rng(0)
  noise = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
  rows = [('first', [('a', noise), ('b', noise)]), ('second', [('', noise)])]
  look = sheets.layout(40)
  sheet = sheets.titled('all', rows, size=40, look=look)
  step = look.heading + 40 + look.caption + look.gap
  top = look.heading + look.gap + look.heading
  assert sheet.shape == (
    look.heading + look.gap + 2 * step,
    look.gap + 2 * (40 + look.gap),
    3,
  )
  for row, column in ((0, 0), (0, 1), (1, 0)):
    y, x = top + row * step, look.gap + column * (40 + look.gap)
    np.testing.assert_array_equal(sheet[y : y + 40, x : x + 40], noise)
  # No picture, no words: paper.
  y, x = top + step, look.gap + 40 + look.gap
  empty = sheet[y : y + 40 + look.caption, x:]
  np.testing.assert_array_equal(
    empty, np.broadcast_to(np.uint8(sheets.PAPER), empty.shape)
  )

  def has_ink(part):
    return (np.abs(part.astype(int) - sheets.INK).max(-1) < 40).any()

  assert has_ink(sheet[: look.heading])
  assert has_ink(sheet[look.heading + look.gap : top, :40])
  below = sheet[top + 40 : top + 40 + look.caption]
  assert has_ink(below[:, :40]) and has_ink(below[:, 40 + look.gap :])
  # The third picture has no caption.
  assert not has_ink(sheet[top + step + 40 :])


def test_pictures_are_resized_to_the_size_of_the_sheet():
  noise = np.random.default_rng(1).integers(0, 256, (9, 9, 3), dtype=np.uint8)
  small = Image.fromarray(noise).resize((30, 30), Image.Resampling.LANCZOS)
  sheet = sheets.titled('', [('', [('', noise)])], size=30)
  look = sheets.layout(30)
  top = 2 * look.heading + look.gap
  np.testing.assert_array_equal(
    sheet[top : top + 30, look.gap : look.gap + 30], np.asarray(small)
  )


def test_captions_of_a_sheet_without_titles_stand_in_the_middle():
  look = sheets.Layout(
    gap=10, heading=0, caption=30, letters=14, drop=20, centred=True
  )
  rows = [('unseen', [('words', _plain(100, 100, 90))])]
  sheet = sheets.titled('unseen', rows, size=100, look=look)
  assert sheet.shape == (10 + 100 + 30 + 10, 120, 3)
  np.testing.assert_array_equal(sheet[10:110, 10:110], 90)
  dark = sheet[110:].astype(int).sum(-1) < 3 * 150
  rows, columns = np.nonzero(dark)
  assert abs(columns.mean() - 60) < 4 and abs(rows.mean() - 20) < 4
  # Nothing is written but the caption.
  assert (sheet[:10] == np.uint8(sheets.PAPER)).all()


@pytest.mark.parametrize(
  'title',
  [
    'ein Löwe',
    '虎の面',
    'a tiger\nwith stripes',
    'a ' + 'very ' * 55 + 'old one',
  ],
)
def test_titles_take_as_many_lines_as_they_need(title):
  picture = _plain(64, 64, 128)
  rows = [('Start', [('start shape', picture)] * 5)]
  sheet = sheets.titled(title, rows, size=64)
  bare = sheets.titled('', rows, size=64)
  extra = len(sheet) - len(bare)
  look = sheets.layout(64)
  assert extra % look.heading == 0
  assert (extra > 0) == (len(title) > 10)
  # Below the title everything is where it was.
  start = look.gap + look.heading
  np.testing.assert_array_equal(sheet[start + extra :], bare[start:])
  ink = (sheet[: start + extra].astype(int) != sheets.PAPER).any(-1)
  assert ink.any() and not ink[:, -look.gap :].any()
  # Every line has words, and none runs into the next.
  for top in range(look.gap, start + extra, look.heading):
    assert ink[top : top + look.heading].any()
    assert not ink[top + look.heading - 1].any()


def test_a_caption_that_is_too_wide_does_not_reach_its_neighbour():
  picture = _plain(64, 64, 128)
  long = 'words without an end and more'
  look = sheets.layout(64)
  sheet = sheets.titled('', [('', [(long, picture), ('', picture)])], size=64)
  second = 2 * look.gap + 64
  below = sheet[-look.caption - look.gap :, second:]
  assert (below == np.uint8(sheets.PAPER)).all()
