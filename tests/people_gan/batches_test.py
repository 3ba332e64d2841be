import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import camera as camera_lib
from maskjax.people_gan import batches as people_batches
from tests.people_gan import people

DATA = people_batches.by_scene(people.face_set(count=6, views=4))


def test_scenes_hold_the_views_of_one_moment_over_white():
  assert DATA.image.shape == (6, 4, 16, 16, 3)
  np.testing.assert_array_equal(DATA.identity, [0, 0, 1, 1, 2, 2])
  inside = DATA.alpha == 255
  assert inside.any() and (DATA.image[DATA.alpha == 0] == 255).all()
  for image, mask in zip(DATA.image, inside):
    assert len(np.unique(image[mask], axis=0)) == 1  # A scene has one colour.
  assert (DATA.depth[inside] > 2.4).all()


def test_part_of_white_shows_through_a_thin_edge():
  rgb, alpha = np.uint8([[100, 0, 255], [9, 9, 9]]), np.uint8([51, 0])
  np.testing.assert_array_equal(
    people_batches.over_white(rgb, alpha), [[224, 204, 255], [255, 255, 255]]
  )
  # Before white already: nothing is to be faded.
  rgb[1] = 255
  np.testing.assert_array_equal(people_batches.over_white(rgb, alpha), rgb)


def test_uneven_scenes_and_missing_shards_are_refused(tmp_path):
  images = people.face_set()
  with pytest.raises(ValueError, match='2 to 3 views'):
    people_batches.by_scene(type(images)(*(x[1:] for x in images)))
  with pytest.raises(FileNotFoundError, match='make_faces'):
    people_batches.load(tmp_path)


def test_batch_is_a_function_of_seed_and_step():
  draw = lambda seed, step: people_batches.draw(
    DATA, seed, step, scenes=3, views=2
  )
  a, b = draw(0, 5), draw(0, 5)
  for x, y in zip(a, b):
    np.testing.assert_array_equal(x, y)
  assert not np.array_equal(a.camera, draw(1, 5).camera)
  assert a.image.min() >= -1 and a.image.max() <= 1
  first = a.camera[:, 0] != a.camera[:, 1]
  assert first.any(1).all()  # No view twice.
  with pytest.raises(ValueError, match='5 views'):
    people_batches.draw(DATA, 0, 0, scenes=3, views=5)


def test_every_round_has_each_scene_once():
  seen = [
    people_batches.draw(DATA, 3, step, scenes=4, views=1).scene
    for step in range(3)
  ]
  numbers = np.concatenate(seen)
  for part in (numbers[:6], numbers[6:]):
    assert sorted(part) == list(range(6))
  assert not np.array_equal(numbers[:6], numbers[6:])


def test_mirrored_camera_sees_the_mirrored_point():
  vector = DATA.camera[0, 0]
  point = np.array([[0.1, -0.05, 0.2]], np.float32)

  def place(vector, point):
    camera = camera_lib.from_vector25(jnp.asarray(vector))
    return np.asarray(camera_lib.project(camera, jnp.asarray(point))[0])[0]

  u, v = place(vector, point)
  mirrored = people_batches.mirror(vector)
  other = place(mirrored, point * [-1, 1, 1])
  np.testing.assert_allclose(other, [1 - u, v], atol=1e-6)
  pose = mirrored[:16].reshape(4, 4)[:3, :3]
  assert np.linalg.det(pose) == pytest.approx(1, abs=1e-5)


def test_pairs_mirror_image_and_camera_together():
  flips = 0
  for step in range(6):
    batch = people_batches.draw_pairs(DATA, 0, step, batch=4)
    for image, c in zip(batch.image, batch.c):
      rows = np.abs(DATA.camera - c).max(-1) < 1e-6
      mirrored = np.abs(people_batches.mirror(DATA.camera) - c).max(-1) < 1e-6
      assert rows.sum() + mirrored.sum() == 1
      true = DATA.image[rows | mirrored][0].astype(np.float32) / 127.5 - 1
      flips += mirrored.sum()
      np.testing.assert_allclose(
        image, true[:, ::-1] if mirrored.any() else true, atol=1e-6
      )
  assert 0 < flips < 24
  flat = people_batches.draw_pairs(DATA, 0, 0, batch=4, cameras=False)
  assert flat.c is None and flat.fake_c is None
