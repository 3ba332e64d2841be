import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from maskjax.gan import model as model_lib, scene_codes
from maskjax.geometry import camera as camera_lib
from maskjax.people_gan import (
  batches as people_batches,
  networks as people_networks,
  pictures as people_pictures,
)
from tests.gan import small
from tests.people_gan import people

DATA = people_batches.by_scene(people.face_set(count=3, views=2))


@pytest.fixture(scope='module')
def model():
  config = people_networks.generator(people.settings())
  return model_lib.initialize(jax.random.key(0), config)


def test_cameras_turn_around_the_middle_at_the_distance_of_the_data():
  camera = camera_lib.from_vector25(people_pictures.turned((-30.0, 0.0, 30.0)))
  places = np.asarray(camera.cam2world[:, :3, 3])
  np.testing.assert_allclose(np.linalg.norm(places, axis=1), 2.7, rtol=1e-5)
  angles = np.degrees(np.arctan2(places[:, 0], places[:, 2]))
  np.testing.assert_allclose(angles, [-30, 0, 30], atol=1e-3)


def test_depth_is_bright_where_near_and_black_where_nothing_is():
  depth = np.array([[[2.0, 3.0], [2.5, 2.0]]])
  alpha = np.array([[[1.0, 1.0], [1.0, 0.0]]])
  made = people_pictures.depth_bytes(depth, alpha, (2.0, 3.0), 4)
  assert made.shape == (1, 4, 4, 3)
  corners = made[0, ::2, ::2, 0]
  np.testing.assert_array_equal(corners, [[255, 0], [127, 0]])
  np.testing.assert_array_equal(made[0, 1, 1], made[0, 0, 0])


def test_samples_are_rows_of_turned_people_beside_their_depth(model):
  sheet = people_pictures.samples(model.module, model.variables, (3, 4))
  assert sheet.shape == (2 * 16, 2 * 5 * 16 + 4, 3)
  again = people_pictures.samples(model.module, model.variables, (4,))
  np.testing.assert_allclose(
    sheet[16:].astype(int), again.astype(int), atol=1
  )  # A seed is the same person in any sheet.
  assert (sheet[:16, :80] != sheet[16:, :80]).any()


def test_known_scenes_stand_beside_the_truth(model):
  codes = scene_codes.Codes(jnp.zeros((3, 8)), jnp.zeros(8))
  sheet = people_pictures.known(
    model.module, model.variables, codes, DATA, np.array([2, 0])
  )
  assert sheet.shape == (2 * 16, 4 * 16, 3)
  np.testing.assert_array_equal(sheet[:16, :16], DATA.image[2, 0])
  assert (sheet[:16, 32:48][DATA.alpha[2, 0] == 0] == 0).all()


def test_blocks_stand_side_by_side_enlarged(tmp_path):
  block = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
  people_pictures.save_sheet(tmp_path / 'sheet.png', [block, block], times=3)
  sheet = np.asarray(Image.open(tmp_path / 'sheet.png'))
  assert sheet.shape == (6, 3 * (2 + 4 + 2), 3)
  np.testing.assert_array_equal(sheet[::3, :6:3], block)
  np.testing.assert_array_equal(sheet[::3, -6::3], block)
  assert (sheet[:, 6:-6] == 255).all()


def test_images_have_no_views():
  flat = model_lib.initialize(jax.random.key(0), small.STYLEGAN2)
  with pytest.raises(ValueError, match='shows no views'):
    people_pictures.samples(flat.module, flat.variables, (0,))
