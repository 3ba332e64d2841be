"""The networks take exactly the weights that come with the package."""

import jax
import jax.numpy as jnp
import pytest

from maskjax.face import networks
from maskjax.weights import diffusers_folder


@pytest.mark.parametrize(
  ('name', 'module', 'size', 'numbers'),
  [
    ('blazeface', networks.BlazeFace(), networks.DETECTOR_SIZE, 101_390),
    ('facemesh', networks.FaceMesh(), networks.MESH_SIZE, 604_685),
    ('selfie', networks.SelfieSegmenter(), networks.SEGMENTER_SIZE, 106_401),
  ],
)
def test_weights_fit_with_nothing_missing_or_left(name, module, size, numbers):
  images = jnp.zeros((1, size, size, 3))
  shapes = jax.eval_shape(module.init, jax.random.key(0), images)['params']
  params = networks.read_params(name)
  diffusers_folder.check_params(params, shapes, name)
  leaves = jax.tree.leaves(params)
  assert sum(leaf.size for leaf in leaves) == numbers
  assert all(jnp.all(jnp.isfinite(leaf)) for leaf in leaves)


def test_pictures_of_a_batch_do_not_touch_each_other():
  params = {'params': networks.load().mesh}
  size = networks.MESH_SIZE
  images = jax.random.uniform(jax.random.key(0), (2, size, size, 3))
  apply = jax.jit(networks.FaceMesh().apply)
  points, scores = apply(params, images)
  alone, score = apply(params, images[1:])
  assert jnp.allclose(points[1:], alone, atol=1e-3)
  assert jnp.allclose(scores[1:], score, atol=1e-3)
