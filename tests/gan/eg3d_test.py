import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import eg3d, stylegan2, superresolution
from maskjax.render.volume import volume

CONFIG = eg3d.EG3DConfig(
  backbone=stylegan2.StyleGAN2Config(
    z_dim=4,
    c_dim=25,
    w_dim=6,
    channels=(5, 4),
    image_channels=12,
    mapping_layers=1,
  ),
  superresolution=superresolution.SuperResolutionConfig(
    kind='2X', input_resolution=4, channels=(4, 3)
  ),
  volume=volume.VolumeConfig(coarse=4, fine=3),
  rendering_resolution=4,
  hidden_features=5,
  features=4,
)
POSE = (1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 2.7, 0, 0, 0, 1)
INTRINSICS = (4.26, 0, 0.5, 0, 4.26, 0.5, 0, 0, 1)
CAMERA = np.array([(*POSE, *INTRINSICS)], np.float32)


@pytest.fixture(scope='module')
def variables():
  model = eg3d.EG3D(CONFIG)
  return jax.jit(model.init)(jax.random.key(0), jnp.ones((1, 4)), CAMERA)


def apply(config, variables, method):
  model = eg3d.EG3D(config)
  return jax.jit(lambda *x: model.apply(variables, *x, method=method))


def test_cached_planes_serve_another_camera(variables):
  ws = jax.random.normal(jax.random.key(1), (1, CONFIG.backbone.num_ws, 6))
  other = CAMERA.copy()
  other[0, 3] = 0.3
  whole = apply(CONFIG, variables, eg3d.EG3D.synthesize)(ws, other)
  styles = apply(CONFIG, variables, eg3d.EG3D.styles)(ws)
  planes = apply(CONFIG, variables, eg3d.EG3D.planes)(styles)
  assert planes.shape == (1, 3, 8, 8, 4)
  picture = apply(CONFIG, variables, eg3d.EG3D.render)(planes, styles, other)
  for ours, theirs in zip(picture[:5], whole[:5]):
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
  assert picture.image.shape == (1, 8, 8, 3)
  assert picture.depth.shape == picture.weights.shape == (1, 4, 4, 1)


def test_clean_mode_returns_what_was_rendered(variables):
  sampling = dataclasses.replace(CONFIG.volume, mode='clean')
  clean = dataclasses.replace(CONFIG, volume=sampling)
  z = jnp.ones((1, 4))
  ours = apply(clean, variables, eg3d.EG3D.__call__)(z, CAMERA)
  np.testing.assert_array_equal(ours.image_raw, ours.features[..., :3])
  theirs = apply(CONFIG, variables, eg3d.EG3D.__call__)(z, CAMERA)
  # Rays through a network in float32, in two programs; as pictures above.
  np.testing.assert_allclose(ours.features, theirs.features, atol=1e-5)
  assert np.abs(theirs.image_raw - ours.image_raw).max() > 1e-3


def test_cameras_are_checked():
  eg3d.check_cameras(CAMERA)
  with pytest.raises(ValueError, match='25 numbers'):
    eg3d.check_cameras(CAMERA[0])
  broken = np.concatenate([CAMERA, CAMERA * np.nan])
  with pytest.raises(ValueError, match='camera 1 '):
    eg3d.check_cameras(broken)


def test_swapped_cameras_come_from_the_sample_before():
  c = jnp.arange(6.0).reshape(6, 1) * jnp.ones((1, 25))
  always, swapped = eg3d.swap_cameras(jax.random.key(0), c, 1.0)
  assert bool(swapped.all())
  np.testing.assert_array_equal(always, jnp.roll(c, 1, 0))
  never, _ = eg3d.swap_cameras(jax.random.key(0), c, 0.0)
  np.testing.assert_array_equal(never, c)


def test_bad_configs_are_errors(unchecked):
  del unchecked
  with pytest.raises(ValueError, match='plane_axes'):
    dataclasses.replace(CONFIG, plane_axes='xyz')
  with pytest.raises(ValueError, match='super-resolution'):
    superresolution.SuperResolutionConfig(kind='16X')
  with pytest.raises(ValueError, match='at most 128x128'):
    superresolution.SuperResolutionConfig(kind='4X').resizes(256)
  with pytest.raises(ValueError, match='mode'):
    volume.VolumeConfig(mode='odd')
