"""What geometries and appearances share: logits, cuts and weights."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.geometry import (
  atlas,
  mesh as mesh_lib,
  template as template_lib,
)
from maskjax.mask import trainable
from maskjax.render import hashgrid
from tests.mask import small


def test_logits_give_their_colours_back_and_stay_finite():
  colors = jnp.linspace(0.02, 0.98, 30).reshape(10, 3)
  found = jax.nn.sigmoid(trainable.logits(colors))
  np.testing.assert_allclose(found, colors, atol=1e-6)
  ends = trainable.logits(jnp.array([[0.0, 1.0, 0.5]]))
  assert np.isfinite(np.asarray(ends)).all()
  gradient = jax.grad(lambda c: trainable.logits(c).sum())(colors)
  assert np.isfinite(np.asarray(gradient)).all()


def _base(template):
  start = jnp.zeros_like(template.mesh.vertices)
  box = hashgrid.bounding_box(template.mesh.vertices)
  return trainable.Base(template=template, start=start, box=box, body=None)


def test_a_shape_without_charts_is_not_cut():
  template = template_lib.mask_template('plain', edge_length=1.2)
  mesh = template.mesh
  assert trainable.cut(_base(template), mesh) is mesh


def test_a_mesh_is_cut_where_the_charts_of_its_start_are():
  corners = jnp.array([[0.0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 0]])
  faces = jnp.array([[0, 1, 2], [0, 2, 3]])
  source = np.array([0, 1, 2, 0, 2, 3], np.int32)
  charts = mesh_lib.Mesh(
    corners[source], jnp.arange(6).reshape(2, 3), uvs=jnp.zeros((6, 2))
  )
  template = template_lib.Template(
    mesh=mesh_lib.Mesh(corners, faces),
    rim=np.arange(4, dtype=np.int32),
    atlas=atlas.Atlas(charts, source),
  )
  moved = mesh_lib.Mesh(corners + 1.0, faces, colors=corners / 9)
  cut = trainable.cut(_base(template), moved)
  np.testing.assert_array_equal(cut.vertices, (corners + 1.0)[source])
  np.testing.assert_array_equal(cut.colors, (corners / 9)[source])
  np.testing.assert_array_equal(cut.faces, charts.faces)
  assert cut.uvs is charts.uvs


def test_energies_of_no_weight_are_not_computed():
  weights = small.settings(
    **{'regularizers.laplacian': 0.0, 'regularizers.symmetry': 0.5}
  ).regularizers

  def fail():
    raise AssertionError

  energies = {'laplacian': fail, 'symmetry': lambda: jnp.float32(4.0)}
  assert trainable.weigh(weights, energies) == {'symmetry': 2.0}
