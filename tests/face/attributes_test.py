"""Age, sex and expression are face-api's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.face import attributes, crops, landmarks, networks
from maskjax.weights import diffusers_folder

NETS = attributes.load()
SIZE = attributes.SIZE


@pytest.mark.parametrize(
  ('module', 'params', 'numbers'),
  [
    (attributes.AgeGenderNet(), NETS.age_gender, 421_731),
    (attributes.ExpressionNet(), NETS.expression, 323_687),
  ],
)
def test_weights_fit_with_nothing_missing_or_left(module, params, numbers):
  faces = jnp.zeros((1, SIZE, SIZE, 3))
  shapes = jax.eval_shape(module.init, jax.random.key(0), faces)['params']
  diffusers_folder.check_params(params, shapes, 'face_api')
  assert sum(x.size for x in jax.tree.leaves(params)) == numbers


def test_numbers_are_face_apis(pictures):
  """A face on its head: no number is 0 or 1.

  The numbers are of face-api 1.7.15 (TensorFlow.js, CPU).
  """
  image = pictures['astronaut'][20:132, 170:282][::-1]
  age, gender = jax.jit(attributes.AgeGenderNet().apply)(
    {'params': NETS.age_gender}, image[None]
  )
  expression = jax.jit(attributes.ExpressionNet().apply)(
    {'params': NETS.expression}, image[None]
  )
  np.testing.assert_allclose(age, [55.2915], atol=1e-2)
  np.testing.assert_allclose(
    jax.nn.softmax(gender)[0], [0.11332, 0.88668], atol=1e-4
  )
  np.testing.assert_allclose(
    jax.nn.softmax(expression)[0],
    [0.27383, 0.09476, 0.13658, 0.08332, 0.04391, 0.00793, 0.35966],
    atol=1e-4,
  )


def test_the_astronaut_is_a_smiling_woman_in_her_thirties(pictures):
  image = pictures['astronaut']
  points = jax.jit(landmarks.find)(networks.load(), image).points[0]
  found = jax.jit(attributes.attributes)(NETS, image, points)
  assert 25 < float(found.age) < 45 and float(found.male) < 0.3
  named = dict(zip(attributes.EXPRESSIONS, np.asarray(found.expressions)))
  assert named['happy'] > 0.9
  np.testing.assert_allclose(found.expressions.sum(), 1.0, atol=1e-5)


def test_the_region_is_upright_around_eyes_and_mouth(pictures):
  image = pictures['astronaut']
  points = jax.jit(landmarks.find)(networks.load(), image).points[0]
  region = attributes.face_region(points, 512, 512)
  middle = crops.to_picture(region, jnp.array([[0.5, 0.43]]))[0]
  eyes = points[jnp.array([33, 133, 263, 362]), :2].mean(0) * 512
  mouth = points[jnp.array([13, 14, 61, 291]), :2].mean(0) * 512
  np.testing.assert_allclose(middle, (2 * eyes + mouth) / 3, atol=1.0)
