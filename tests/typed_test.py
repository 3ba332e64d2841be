"""Annotations are executed: controls that the checks of a session can fail."""

import jax
import jax.numpy as jnp
from jaxtyping import TypeCheckError
import numpy as np
import pytest

from maskjax.geometry import camera, mesh

_FACES = np.array([[0, 1, 2]])


def test_wrong_shapes_and_kinds_of_arrays_are_refused():
  vertices = jnp.eye(3)
  assert mesh.face_areas(vertices, _FACES).shape == (1,)
  with pytest.raises(TypeCheckError, match='vertices'):
    mesh.face_areas(vertices[:, :2], _FACES)
  with pytest.raises(TypeCheckError, match='vertices'):
    mesh.face_areas(np.eye(3, dtype=np.float32), _FACES)
  with pytest.raises(TypeCheckError, match='faces'):
    jax.jit(mesh.face_areas)(vertices, _FACES * 1.0)


def test_a_mesh_is_checked_when_we_make_it_and_not_when_jax_does():
  whole = mesh.Mesh(jnp.eye(3), jnp.asarray(_FACES))
  with pytest.raises(TypeCheckError, match='vertices'):
    mesh.Mesh(np.eye(3, dtype=np.float32), jnp.asarray(_FACES))
  shapes = jax.tree.map(lambda x: x.shape, whole)
  assert shapes.vertices == (3, 3)
  assert jax.eval_shape(lambda m: m, whole).faces.dtype == jnp.int32


def test_an_int_is_good_where_a_float_is_asked_for():
  assert camera.orbit(0, 90).cam2world.shape == (4, 4)


def test_checks_can_be_switched_off(unchecked):
  with pytest.raises(ValueError, match='25 numbers'):
    camera.from_vector25(jnp.zeros((2, 24)))
