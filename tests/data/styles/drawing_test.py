"""Strokes: steps, lines where depth jumps, dots and hatching."""

import numpy as np
import pytest

from maskjax.data.styles import drawing as drawing_lib

_SIZE = 64


@pytest.fixture
def square():
  """Return a grey square before a far background, seen as a drawing."""
  inside = np.zeros((_SIZE, _SIZE))
  inside[16:48, 16:48] = 1
  normals = np.zeros((_SIZE, _SIZE, 3))
  normals[..., 2] = inside
  picture = np.repeat(0.5 * inside[..., None], 3, -1)
  return drawing_lib.Drawing(
    photo=picture,
    flat=picture,
    light=inside,
    depth=np.where(inside > 0, 100.0, 150.0),
    normals=normals,
    alpha=inside,
    eyes=np.zeros((_SIZE, _SIZE)),
    pixel=1.0,
    rng=np.random.default_rng(0),
  )


def test_steps_are_smooth_between_their_ends():
  values = np.array([-1.0, 0.0, 0.5, 1.0, 9.0])
  np.testing.assert_allclose(
    drawing_lib.step(values, 0.0, 1.0), [0, 0, 0.5, 1, 1]
  )
  # A step from high to low falls.
  np.testing.assert_allclose(
    drawing_lib.step(values, 1.0, 0.0), [1, 1, 0.5, 0, 0]
  )


def test_the_slope_of_a_ramp_is_its_rise_in_any_direction():
  y, x = np.mgrid[:9, :9].astype(float)
  ramp = 3 * x + 4 * y
  np.testing.assert_allclose(drawing_lib.slope(ramp)[1:-1, 1:-1], 5.0)


def test_lines_run_along_the_outline(square):
  ink = drawing_lib.lines(square, 1.0)
  assert ink.min() >= 0 and ink.max() <= 1
  assert ink[32, 14:19].max() > 0.8 and ink[14:19, 32].max() > 0.8
  assert ink[28:36, 28:36].max() < 0.01 and ink[:8].max() < 0.01


def test_eyes_are_outlined_and_free_of_other_ink(square):
  eyes = np.zeros((_SIZE, _SIZE))
  eyes[28:36, 24:40] = 1
  checks = np.kron(np.indices((16, 16)).sum(0) % 2, np.ones((4, 4)))
  spotted = square._replace(flat=square.flat * checks[..., None], eyes=eyes)
  ink = drawing_lib.lines(spotted, 1.0)
  assert ink[31:34, 28:36].max() < 0.1 < ink[20:25, 20:25].max()
  assert ink[28, 32] > 0.5


def test_medians_take_out_spots_and_keep_edges(square):
  flat = square.flat.copy()
  flat[32, 32] = 1.0
  smooth = drawing_lib.smooth_colors(square._replace(flat=flat), 1.6)
  # Away from the corners, which medians round.
  expected = square.flat[18:46, 10:54]
  np.testing.assert_allclose(smooth[18:46, 10:54], expected)


def test_grey_stays_grey_and_colours_grow():
  image = np.array([[[0.5, 0.5, 0.5], [0.4, 0.5, 0.6]]])
  found = drawing_lib.saturate(image, 2.0)
  np.testing.assert_allclose(found, [[[0.5, 0.5, 0.5], [0.3, 0.5, 0.7]]])


def test_the_background_shows_where_the_head_is_not(square):
  red = np.array([1.0, 0.0, 0.0])
  found = drawing_lib.over(square, square.flat, red)
  np.testing.assert_array_equal(found[0, 0], red)
  np.testing.assert_array_equal(found[32, 32], square.flat[32, 32])


def test_palettes_are_as_bright_as_asked():
  for seed in range(20):
    color = drawing_lib.palette(np.random.default_rng(seed), 0.9)
    assert np.isclose(color.max(), 0.9) and color.min() >= 0.9 * 0.55


def test_dots_cover_half_and_repeat_at_their_pitch():
  screen = drawing_lib.dots((60, 60), 6.0, 0.0)
  assert screen.min() >= 0 and screen.max() == 1
  np.testing.assert_allclose(screen.mean(), 0.5, atol=1e-9)
  np.testing.assert_allclose(screen[6:], screen[:-6], atol=1e-9)


def test_strokes_run_along_their_angle(square):
  found = drawing_lib.strokes(square, 0.0)
  assert found.shape == (_SIZE, _SIZE) and np.isclose(found.std(), 1)
  along, across = np.diff(found, axis=1).std(), np.diff(found, axis=0).std()
  assert along < 0.5 * across
