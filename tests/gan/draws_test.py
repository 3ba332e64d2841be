"""Random numbers of a step: each sample's own, none that nobody needs."""

import dataclasses

import jax
import numpy as np

from maskjax.gan import draws
from tests.gan import small


def keys(count, seed=0):
  return jax.random.split(jax.random.key(seed), count)


def test_each_sample_draws_from_its_own_key():
  scenes = small.EG3D.build()
  three = draws.for_scenes(scenes, keys(3), mixes=True)
  last = draws.for_scenes(scenes, keys(3)[2:], mixes=True)
  jax.tree.map(
    lambda a, b: np.testing.assert_array_equal(a[2:], b), three, last
  )
  assert len(set(np.asarray(three.swap).tolist())) == 3


def test_shapes_are_those_of_the_rendering():
  found = draws.for_scenes(small.EG3D.build(), keys(2), resolution=4)
  assert found.uniforms.jitter.shape == (2, 16, 4)
  assert found.uniforms.fine.shape == (2, 16, 4)
  usual = draws.for_scenes(small.EG3D.build(), keys(2), swaps=False)
  assert usual.uniforms.jitter.shape == (2, 64, 4)
  assert usual.swap is None and usual.mixing is None


def test_a_network_without_noise_draws_none():
  silent = dataclasses.replace(small.STYLEGAN2, use_noise=False).build()
  assert draws.for_images(silent, keys(2)).noise is None
  found = draws.for_images(small.STYLEGAN2.build(), keys(2), mixes=True)
  assert found.noise['b16']['conv1'].shape == (2, 16, 16, 1)
  assert found.swap is None and found.uniforms is None
  cuts = draws.for_images(small.STYLEGAN2.build(), keys(99), mixes=True)
  assert set(np.asarray(cuts.mixing.cut).tolist()) == {1, 2, 3, 4, 5}


def test_density_has_points_of_each_scene_and_one_swap_for_all():
  rng = jax.random.key(5)
  found = draws.for_density(small.EG3D.build(), rng, keys(3), points=7)
  assert found.points.shape == found.steps.shape == (3, 7, 3)
  assert found.swap.shape == ()
  assert float(found.points.min()) >= 0 and float(found.points.max()) < 1
  fixed = draws.for_density(small.EG3D.build(), rng, keys(3), swaps=False)
  assert fixed.swap is None and fixed.points.shape == (3, 1000, 3)


def test_seeds_stand_for_latents_in_any_company():
  both = draws.of_seeds([3, 4], 8)
  np.testing.assert_array_equal(both[1:], draws.of_seeds([4], 8))
  expected = np.random.RandomState(3).standard_normal((1, 8))
  np.testing.assert_array_equal(both[:1], expected.astype(np.float32))
