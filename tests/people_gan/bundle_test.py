"""The source domain that comes with the package."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.avatar import render as avatar_render
from maskjax.gan import checkpoints, draws, eg3d
from maskjax.geometry import camera as camera_lib
from maskjax.people_gan import pictures as people_pictures
from maskjax.render.volume import rays as rays_lib
from maskjax.weights import bundled

YAWS = (-25.0, 0.0, 25.0)


@pytest.fixture(scope='module')
def model():
  return checkpoints.load(bundled.bundled_path('source'))


@pytest.fixture(scope='module')
def shown(model):
  """Images, depths along rays and coverage of 6 people from three sides."""
  z = draws.of_seeds(range(6), model.module.config.backbone.z_dim)
  camera = jnp.broadcast_to(people_pictures.turned(YAWS)[None], (6, 3, 25))
  made = people_pictures.show(model.module, model.variables, z, camera)
  return [np.asarray(x).reshape(6, 3, *x.shape[1:]) for x in made]


def test_files_are_small_and_described():
  folder = bundled.bundled_path('source')
  sizes = [path.stat().st_size for path in folder.rglob('*') if path.is_file()]
  assert max(sizes) <= 16 * 2**20 and sum(sizes) <= 30 * 2**20
  card = (folder / 'README.md').read_text()
  for words in ('licence', 'seed', 'flatness', '](samples.png)', 'Limits'):
    assert words in card


def test_people_stand_before_white_and_differ(model, shown):
  assert isinstance(model.module, eg3d.EG3D)
  image, _, alpha = shown
  assert image.shape[2:] == (64, 64, 3)
  side = alpha.shape[2]
  middle = slice(3 * side // 8, 5 * side // 8)
  assert alpha[:, :, middle, middle].min() > 0.95
  empty = np.repeat(np.repeat(alpha < 0.01, 2, 2), 2, 3)
  assert empty.mean() > 0.1 and image[empty].mean() > 0.95
  face = image[:, 1, 24:48, 24:40].reshape(6, -1)
  apart = np.abs(face[:, None] - face[None]).mean(-1)
  assert (apart[~np.eye(6, dtype=bool)] > 0.04).all()


def test_faces_are_solid_and_the_same_from_all_sides(shown):
  _, depth, alpha = shown
  side = depth.shape[2]
  cameras = camera_lib.from_vector25(people_pictures.turned(YAWS))
  rays = jax.tree.map(np.asarray, rays_lib.camera_rays(cameras, side))
  middle = np.arange(side**2).reshape(side, side)[12:22, 12:20].ravel()
  for person in range(6):
    seen = depth[person].reshape(3, -1)
    front = seen[1, middle]
    assert alpha[person, 1].ravel()[middle].min() > 0.95
    assert front.max() - front.min() > 0.05  # No plane before the camera.
    points = (
      rays.origins[1, middle] + rays.directions[1, middle] * front[:, None]
    )
    for view in (0, 2):
      way = points - rays.origins[view, 0]
      along = way / np.linalg.norm(way, axis=1, keepdims=True)
      pixel = (along @ rays.directions[view].T).argmax(1)
      gap = np.linalg.norm(way, axis=1) - seen[view, pixel]
      # The scene is 0.63 wide; what is hidden from a side is further away.
      assert np.median(np.abs(gap)) < 0.02, (person, view)


def test_render_avatar_makes_a_head_of_it(model, tmp_path):
  request = avatar_render.Request(
    seeds=(0,), what=('image', 'mesh'), mesh_resolution=48
  )
  made = avatar_render.render(model, request, tmp_path)
  assert [path.suffix for path in made] == ['.png', '.glb']
  assert made[1].stat().st_size > 20_000
