"""Scenes looked at: cameras, turntables, walks."""

import dataclasses
import math

import imageio_ffmpeg
import jax
import numpy as np
import pytest

from maskjax.gan import model as model_lib, poses, scenes
from maskjax.geometry import color, ffhq
from tests.gan import small

SEEDS = (0, 3)


@pytest.fixture(scope='module')
def model():
  model = model_lib.initialize(jax.random.key(0), small.EG3D)
  # Louder densities: a scene that differs from seed to seed.
  kernel = model.variables['params']['decoder']['net_2']['kernel']
  model.variables['params']['decoder']['net_2']['kernel'] = kernel * 5
  return model


@pytest.fixture(scope='module')
def studio(model):
  return scenes.open_studio(model, scenes.Viewing())


def test_the_walk_goes_from_seed_to_seed(studio):
  frames = list(scenes.walk(studio, SEEDS, 3))
  assert len(frames) == 6
  for i, seed in ((0, 0), (3, 3)):
    scene = studio.scene(studio.latents(seed))
    c = studio.camera(*scenes.swing(i / 6))
    expected = color.signed_to_bytes(studio.picture(scene, c).image[0])
    assert np.abs(frames[i].astype(int) - expected).max() <= 1
  assert np.abs(frames[0].astype(int) - frames[3]).mean() > 3


def test_a_round_begins_and_ends_at_the_same_side(studio):
  scene = studio.scene(studio.latents(0))
  frames = list(scenes.turntable(studio, scene, 4))
  first = studio.picture(scene, studio.camera(*scenes.swing(0.0))).image[0]
  np.testing.assert_array_equal(frames[0], color.signed_to_bytes(first))
  np.testing.assert_allclose(scenes.swing(0.0), scenes.swing(1.0), atol=1e-9)
  assert len(frames) == 4


def test_the_front_camera_is_that_of_ffhq(studio):
  c = np.asarray(studio.camera())[0]
  np.testing.assert_allclose(c[[3, 7, 11]], [0, 0, ffhq.RADIUS], atol=1e-6)
  np.testing.assert_allclose(c[16:], ffhq.intrinsics())
  half = np.full(1, math.pi / 2, np.float32)
  pose = poses.look_at(half + 0.2, half - 0.1, pivot=ffhq.PIVOT)
  np.testing.assert_allclose(
    studio.camera(0.2, -0.1)[0, :16], pose.reshape(16), atol=1e-6
  )


def test_truncation_pulls_seeds_together(model, studio):
  wide = scenes.open_studio(model, scenes.Viewing(psi=1.0))
  apart = [
    np.abs(own.latents(0) - own.latents(3)).mean() for own in (studio, wide)
  ]
  np.testing.assert_allclose(apart[0], 0.7 * apart[1], rtol=1e-4)


def test_only_scenes_can_be_looked_at(model):
  for config in (small.STYLEGAN2, small.SINGLE):
    other = model_lib.initialize(jax.random.key(0), config)
    with pytest.raises(ValueError, match='it has no scenes'):
      scenes.open_studio(other, scenes.Viewing())
  broken = dataclasses.replace(scenes.Viewing(), radius=float('nan'))
  with pytest.raises(ValueError, match=r'camera 0 .*not finite'):
    scenes.open_studio(model, broken)


def test_a_video_has_its_frames(tmp_path):
  frames = np.zeros((3, 16, 16, 3), np.uint8)
  scenes.save_video(tmp_path / 'own.mp4', iter(frames), 3, 'own')
  assert imageio_ffmpeg.count_frames_and_secs(tmp_path / 'own.mp4')[0] == 3
