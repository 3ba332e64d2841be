"""The student: angles of cameras, and a loss that falls."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.gan import autodecoder, model as model_lib, student
from maskjax.people_gan import (
  networks as people_networks,
  pictures as people_pictures,
)
from maskjax.training import parallel, state as state_lib
from tests.people_gan import people


@pytest.fixture(autouse=True)
def quick_compilation():
  # Programs that run once or twice are not worth optimising.
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


def test_angles_are_those_a_camera_was_made_with():
  yaws = np.array([-40.0, 0.0, 25.0])
  found = np.degrees(student.angles(people_pictures.turned(list(yaws), 10.0)))
  np.testing.assert_allclose(found[:, 0], yaws, atol=1e-3)
  # The pivot is not the world's origin, so heights differ by a constant.
  level = np.degrees(student.angles(people_pictures.turned((0.0,), 0.0)))[0, 1]
  assert (found[:, 1] > level + 5).all()


def _networks():
  told = people.settings('tiny_student')
  teacher = model_lib.initialize(
    jax.random.key(0), people_networks.generator(told)
  )
  own = people_networks.flat_generator(
    people.settings('tiny_student', channels=(8, 8, 8))
  )
  return teacher, autodecoder.with_plain_mapping(
    model_lib.initialize(jax.random.key(1), own)
  )


def test_it_comes_nearer_to_its_teacher_on_any_number_of_devices():
  teacher, model = _networks()
  tx = optax.adam(1e-2)
  step = student.make_step(
    teacher.module, model.module, tx, levels=2, ema_decay=0.5
  )
  camera = people_pictures.turned(np.linspace(-30, 30, 16).tolist())
  numbers = jnp.linspace(-1.5, 1.5, 16)
  cameras = student.Cameras(
    camera.reshape(8, 2, 25),
    jnp.stack([numbers, 0 * numbers], -1).reshape(8, 2, 2),
  )
  states = []
  for count in (1, 2):
    devices = jax.local_devices()[:count]
    mapped = parallel.data_parallel(step, devices=devices, shared=True)
    frozen = parallel.replicate(
      {
        'teacher': teacher.variables,
        'buffers': model.variables['buffers'],
        'camera': camera[0],
      },
      devices=devices,
    )
    state = parallel.replicate(
      state_lib.create(model.variables['params'], tx, ema=True),
      devices=devices,
    )
    losses = []
    for i in range(3 if count > 1 else 30):
      state, metrics = mapped(state, jax.random.key(i), cameras, frozen)
      losses.append(float(metrics['loss']))
    states.append(losses)
  alone, shared = states
  np.testing.assert_allclose(alone[:3], shared, rtol=1e-4)
  assert np.mean(alone[-5:]) < 0.7 * alone[0]


def test_angles_are_counted_in_standard_deviations():
  among = people_pictures.turned([-30.0, 10.0, 20.0, 40.0], 5.0)
  own = np.asarray(student.standard_angles(among, among))
  np.testing.assert_allclose(own[:, 0].mean(), 0, atol=1e-5)
  np.testing.assert_allclose(own[:, 0].std(), 1, rtol=1e-4)
  front = student.standard_angles(people_pictures.turned([10.0], 5.0), among)
  np.testing.assert_allclose(np.asarray(front)[0, 0], 0, atol=1e-3)
