"""Baking a field of colours into a uv map, gutters included."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import template
from maskjax.render import baking, textures


def _field(points):
  return 0.5 + 0.4 * jnp.sin(points * jnp.array([[0.3, 0.4, 0.5]]))


def test_a_baked_field_looks_like_the_field():
  mesh = template.mask_template('plain', edge_length=1.2).mesh
  image = baking.bake(mesh.uvs, mesh.faces, mesh.vertices, _field, size=512)
  assert image.shape == (512, 512, 3)
  rng = np.random.default_rng(0)
  faces = np.asarray(mesh.faces)
  weights = rng.dirichlet(np.ones(3), len(faces))
  points = np.einsum('fk,fkd->fd', weights, np.asarray(mesh.vertices)[faces])
  uvs = np.einsum('fk,fkd->fd', weights, np.asarray(mesh.uvs)[faces])
  shown = textures.sample(jnp.asarray(image), jnp.asarray(uvs, jnp.float32))
  wanted = _field(jnp.asarray(points, jnp.float32))
  assert np.abs(np.asarray(shown - wanted)).max() < 0.02


def test_gutters_take_the_colour_of_the_nearest_chart():
  uvs = jnp.array([[0.0, 0.0], [0.25, 0.0], [0.25, 1.0], [0.0, 1.0]])
  uvs = jnp.concatenate([uvs, uvs + jnp.array([[0.75, 0.0]])])
  faces = jnp.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
  number = jnp.repeat(jnp.array([0.2, 0.8]), 4)[:, None]
  image = baking.bake(uvs, faces, number, lambda x: x, size=32)[..., 0]
  np.testing.assert_allclose(image[:, :15], 0.2, atol=1e-6)
  np.testing.assert_allclose(image[:, 17:], 0.8, atol=1e-6)


def test_uvs_outside_of_the_image_are_refused():
  uvs = jnp.array([[2.0, 2.0], [3.0, 2.0], [2.0, 3.0]])
  with pytest.raises(ValueError, match='uvs in'):
    baking.bake(uvs, jnp.array([[0, 1, 2]]), uvs, lambda x: x, size=16)
