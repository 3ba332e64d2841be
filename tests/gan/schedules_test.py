"""What changes with the images that a training has seen."""

import pytest

from maskjax.gan import schedules


def test_schedules():
  assert float(schedules.blur_sigma(0, start=10, kimg=200)) == 10
  assert float(schedules.blur_sigma(1e6, start=10, kimg=200)) == 0
  assert float(schedules.swap_probability(5e5, end=0.5, kimg=1000)) == 0.75
  side = lambda seen, **rest: schedules.raw_resolution(
    seen, start=16, end=24, kimg=1000, **rest
  )
  assert [side(seen) for seen in (0, 5e5, 2e6)] == [16, 20, 24]
  assert [side(s, sides=(16, 24)) for s in (0, 9e5, 1e6)] == [16, 16, 24]
  decay = schedules.ema_decay(1e9, 32, kimg=10)
  assert float(decay) == pytest.approx(0.5 ** (32 / 10000))
  assert float(schedules.ema_decay(0, 32, kimg=10)) == 0


def test_a_fade_of_no_length_is_done():
  assert float(schedules.progress(0, 0.0)) == 1
  assert float(schedules.progress(250, 1.0)) == 0.25
  assert schedules.raw_resolution(0, start=16, end=32, kimg=0) == 32


def test_an_average_without_rampup_has_its_half_life_from_the_start():
  decay = schedules.ema_decay(0, 500, kimg=0.5, rampup=None)
  assert float(decay) == pytest.approx(0.5)
