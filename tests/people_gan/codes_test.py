import numpy as np
import pytest

from maskjax.people_gan import batches as people_batches, codes as people_codes
from tests.people_gan import people


def test_frontal_map_shows_colour_depth_and_coverage_of_a_ball():
  colour = (200, 40, 90)
  views = people.ball_views([colour], views=5, side=64)
  rgb, alpha, depth, camera = (part[0] for part in views)
  image = people_batches.over_white(rgb, alpha)
  made = people_codes.frontal_map(
    image, alpha, depth, camera.astype(np.float32), 16
  )
  width = 0.66 / 16
  x = (np.arange(16) + 0.5) * width - 0.33
  far = np.hypot(*np.meshgrid(x, x))
  inside, outside = far < 0.15, far > 0.23
  wanted = np.array(colour) / 127.5 - 1
  assert np.abs(made[inside][:, :3] - wanted).max() < 1e-2
  surface = np.sqrt(0.2**2 - far[inside] ** 2)
  # Within a cell, the nearest points count most.
  np.testing.assert_allclose(made[inside][:, 3] * 0.25, surface, atol=0.02)
  assert (made[inside][:, 4] == 1).all() and (made[outside][:, 4] == 0).all()
  np.testing.assert_array_equal(made[outside][:, :3], 1)


def test_components_mix_to_a_standard_normal():
  rng = np.random.default_rng(0)
  scores = rng.standard_normal((300, 3)) * [3, 2, 1]
  basis = np.linalg.qr(rng.standard_normal((40, 3)))[0]
  maps = scores @ basis.T + 0.1 * rng.standard_normal((300, 40))
  means, deviations = people_codes.principal(maps, 5)
  spread = means.var(0) + deviations**2
  np.testing.assert_allclose(spread, 1, atol=1e-5)
  np.testing.assert_allclose(means.mean(0), 0, atol=1e-5)
  # Latents of the three true directions are sure, the others are not.
  assert (deviations[:3] < 0.16).all() and (deviations[3:] > 0.6).all()
  for i in range(3):
    assert abs(np.corrcoef(means[:, i], scores[:, i])[0, 1]) > 0.95


def test_fewer_scenes_than_components_leave_the_rest_free():
  rng = np.random.default_rng(0)
  means, deviations = people_codes.principal(rng.standard_normal((4, 30)), 8)
  assert np.isfinite(means).all() and (means[:, 3:] == 0).all()
  np.testing.assert_array_equal(deviations[3:], 1)


def test_codes_of_a_data_set_tell_scenes_apart():
  data = people_batches.by_scene(people.face_set(count=6, views=3))
  means, deviations = people_codes.first_codes(data, 4)
  assert means.shape == (6, 4) and deviations.shape == (4,)
  apart = np.linalg.norm(means[:, None] - means[None], axis=-1)
  assert apart[~np.eye(6, dtype=bool)].min() > 0.1


def test_stored_latents_come_back_and_those_of_other_data_are_refused(tmp_path):
  assert people_codes.read(tmp_path, 3) is None
  codes = people_codes.Stored(np.eye(3, 8), np.ones(8), np.arange(3))
  people_codes.write(tmp_path, codes)
  for own, first in zip(people_codes.read(tmp_path, 3), codes):
    np.testing.assert_array_equal(own, first)
  with pytest.raises(ValueError, match='latents of 3 scenes, the data has 4'):
    people_codes.read(tmp_path, 4)
  np.savez(
    tmp_path / 'codes.npz', **codes._replace(identity=np.arange(2.0))._asdict()
  )
  with pytest.raises(
    ValueError, match=r'codes\.npz holds no latents \(identity'
  ):
    people_codes.read(tmp_path, 3)
