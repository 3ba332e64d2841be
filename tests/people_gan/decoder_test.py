"""The latents that the auto-decoder begins with."""

import numpy as np

from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  decoder,
)
from tests.people_gan import people


def test_latents_begin_as_principal_components_or_are_to_be_restored():
  data = people_batches.by_scene(people.face_set(count=4, views=3))
  codes = decoder._codes(people.settings(latent=3), data)
  mean, deviation = people_codes.first_codes(data, 3)
  np.testing.assert_array_equal(codes.mean, mean)
  np.testing.assert_allclose(np.exp(codes.log_deviation), deviation, rtol=1e-6)
  blank = decoder._codes(people.settings(latent=3, resume=True), data)
  assert blank.mean.shape == codes.mean.shape == (4, 3)
  assert blank.log_deviation.shape == codes.log_deviation.shape
  assert not np.asarray(blank.mean).any()
