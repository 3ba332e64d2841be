import numpy as np

from maskjax.training import rates


def test_rate_warms_up_stays_and_falls():
  rate = rates.trapezoid(2.0, 100, warmup=10, decay=40)
  steps = (0, 5, 10, 59, 60, 80, 100, 120)
  np.testing.assert_allclose(
    [rate(step) for step in steps], [0, 1, 2, 2, 2, 1, 0, 0], atol=1e-5
  )


def test_rate_without_warmup_and_decay_is_constant():
  rate = rates.trapezoid(2.0, 100)
  np.testing.assert_allclose([rate(step) for step in (0, 50, 500)], 2.0)
