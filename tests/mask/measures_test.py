"""Measures of shape and looks, of meshes whose truth is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.data.creatures import creatures
from maskjax.geometry import template as template_lib
from maskjax.mask import measures
from maskjax.matcher import network as matcher_lib


@pytest.fixture(scope='module')
def judge():
  config = matcher_lib.MatcherConfig(
    matcher_lib.vocabulary(), channels=(8, 8, 8, 8), features=8
  )
  return matcher_lib.create(jax.random.key(0), config)


@pytest.fixture(scope='module')
def start():
  mesh = template_lib.mask_template('plain', edge_length=1.2).mesh
  return mesh.replace(colors=jnp.full_like(mesh.vertices, 0.8))


def test_pictures_show_the_mask_before_grey(start):
  images = np.asarray(measures.photograph(start))
  assert images.shape == (3, 64, 64, 3)
  grey = images[:, 0, 0]
  np.testing.assert_allclose(grey, grey[0, 0], atol=1e-6)
  assert (np.abs(images[:, 32, 32] - grey) > 0.05).all()
  # Seen from +-45 degrees, a symmetric mask gives mirrored pictures.
  np.testing.assert_allclose(images[0], images[2, :, ::-1], atol=0.1)


def test_the_truth_is_nearer_to_itself_than_the_start_is(start, judge):
  truth = creatures.mean_shape('pig')
  far = measures.measure(start, 'pig', judge)
  near = measures.measure(
    truth.replace(vertices=jnp.asarray(truth.vertices)), 'pig', judge
  )
  # Two samplings of one surface are about 0.1 cm apart.
  assert near.chamfer_cm < 0.2 < far.chamfer_cm
  assert 0.0 < far.probability < 1.0
  # The same outline at the same place, but for the softness of the edge.
  assert near.normals_degrees < 0.1 < 10.0 < far.normals_degrees
  assert near.silhouette > 0.999 > 0.95 > far.silhouette


def test_resizing_is_told_apart_from_shape():
  truth = creatures.mean_shape('pig')
  truth = truth.replace(vertices=jnp.asarray(truth.vertices))
  small = truth.replace(vertices=truth.vertices / 1.25)
  # Only the noise of the sampling is left after growing by 1.25.
  assert measures.fall_by_size(small, 'pig') > 70.0
  assert measures.fall_by_size(truth, 'pig') < 5.0


def test_normals_are_compared_where_both_are_seen():
  mesh = template_lib.mask_template('plain', edge_length=1.2).mesh
  turned = jnp.deg2rad(10.0)
  c, s = jnp.cos(turned), jnp.sin(turned)
  rotation = jnp.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
  # Moved far aside, nothing is seen of one where the other is.
  apart = mesh.replace(vertices=mesh.vertices + jnp.array([[30.0, 0.0, 0.0]]))
  assert measures.shape_errors(mesh, apart) == (0.0, 0.0)
  angle, overlap = measures.shape_errors(
    mesh, mesh.replace(vertices=mesh.vertices @ rotation.T)
  )
  # A normal at angle a to the axis turns by 2 asin(sin(a) sin(5 degrees)).
  assert 1.0 < angle < 10.0
  assert 0.8 < overlap < 1.0


def test_answers_that_agree_are_alike():
  same = np.array([[0.5, 0.5, 0.0]] * 3)
  np.testing.assert_allclose(measures._alike(same), 1.0)
  np.testing.assert_allclose(measures._alike(np.eye(3)), 0.0)
