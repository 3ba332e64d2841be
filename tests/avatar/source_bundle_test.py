"""The source domain that comes with the package."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.avatar import source_pictures
from maskjax.evaluation import avatars
from maskjax.gan import checkpoints, eg3d
from maskjax.weights import bundled

YAWS = (-25.0, 0.0, 25.0)


@pytest.fixture(scope='module')
def model():
  return checkpoints.load(bundled.bundled_path('source'))


@pytest.fixture(scope='module')
def shown(model):
  """Images, depths along rays and coverage of 6 people from three sides."""
  z = source_pictures.seed_latents(range(6), model.module.config.backbone.z_dim)
  camera = jnp.broadcast_to(source_pictures.turned(YAWS)[None], (6, 3, 25))
  made = source_pictures.show(model.module, model.variables, z, camera)
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
  front = image[:, 1]
  np.testing.assert_allclose(front[:, 20:40, :2].max((1, 2, 3)), 1, atol=0.15)
  face = front[:, 24:48, 24:40].reshape(6, -1)
  apart = np.abs(face[:, None] - face[None]).mean(-1)
  assert (apart[~np.eye(6, dtype=bool)] > 0.04).all()


def test_faces_are_solid_and_turn(shown):
  _, depth, alpha = shown
  side = depth.shape[2]
  rows = slice(3 * side // 8, 5 * side // 8)
  for person in range(6):
    nearest = []
    for view in range(3):
      band = np.where(alpha[person, view] > 0.95, depth[person, view], 9)[rows]
      nearest.append((band.argmin() % side) / side)
    # The camera goes to one side, what stands out of the face to the other.
    assert nearest[0] != nearest[2]
    assert np.sign(nearest[0] - nearest[2]) == np.sign(_shift())
    front = depth[person, 1][rows]
    solid = alpha[person, 1][rows] > 0.95
    assert front[solid].max() - front[solid].min() > 0.05


def _shift():
  """Return where a point before the axis moves between the outer cameras."""
  camera = np.asarray(source_pictures.turned(YAWS))
  point = np.array([0, 0, 0.3, 1])  # Before the middle of the pictures.
  places = []
  for pose in camera[:, :16].reshape(-1, 4, 4):
    x, _, z, _ = np.linalg.inv(pose) @ point
    places.append(x / z)
  return places[0] - places[2]


def test_render_avatar_makes_a_head_of_it(model, tmp_path):
  request = avatars.Request(
    seeds=(0,), what=('image', 'mesh'), mesh_resolution=48
  )
  made = avatars.render(model, request, tmp_path)
  assert [path.suffix for path in made] == ['.png', '.glb']
  assert made[1].stat().st_size > 20_000
