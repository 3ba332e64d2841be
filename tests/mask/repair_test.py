"""Unfolding: folded triangles are smoothed away, sound meshes are spared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import (
  mesh as mesh_lib,
  soundness,
  template as template_lib,
)
from maskjax.mask import repair, surface as surface_lib, trainable
from tests.mask import small


def _moved(surface, scale):
  shape = surface.template.mesh.vertices.shape
  offsets = scale * jax.random.normal(jax.random.key(0), shape)
  params = trainable.MaskParams(offsets, jnp.zeros(shape))
  return surface_lib.assemble(surface, params, bound=0.5)


def test_unfold_mends_a_folded_mask_and_spares_a_sound_one():
  settings = small.settings(**{'optimizer.smoothing': 8.0})
  template = surface_lib.load_template(settings)
  surface = surface_lib.create(template, settings)
  sound = _moved(surface, 0.02)
  np.testing.assert_array_equal(
    repair.unfold(sound, template).vertices, sound.vertices
  )
  # Push single vertices through their neighbourhood.
  rest = np.asarray(template.mesh.vertices).copy()
  inner = np.setdiff1d(np.arange(len(rest)), template.rim)[::97]
  rest[inner, :2] += np.array([2.5, 1.5])
  broken = template.mesh.replace(vertices=jnp.asarray(rest))
  assert soundness.report(broken).flipped > 0
  mended = repair.unfold(broken, template)
  report = soundness.report(mended, template.mesh, template.rim)
  assert report.flipped == 0
  assert report.degenerate == 0
  assert report.rim_displacement == 0.0


def _broken_start(kind):
  """Return a start shape that has bad faces itself."""
  mesh = template_lib.mask_template('plain', edge_length=1.2).mesh
  faces = np.asarray(mesh.faces).copy()
  middle = np.asarray(mesh.vertices)[faces].mean(1)
  chosen = int(np.argmin(np.linalg.norm(middle - [0, 0, 7], axis=1)))
  if kind == 'turned':
    faces[chosen] = faces[chosen, ::-1]
  elif kind == 'two-sided':
    faces = np.concatenate([faces, faces[:, ::-1]])
  else:  # a sliver on an edge
    a, b, c = faces[chosen]
    vertices = np.asarray(mesh.vertices)
    point = (vertices[a] + vertices[b])[None] / 2
    mesh = mesh_lib.Mesh(
      jnp.asarray(np.concatenate([vertices, point])), mesh.faces
    )
    new = len(vertices)
    faces[chosen] = (new, b, c)
    faces = np.concatenate([faces, [[a, new, c], [a, b, new]]])
  mesh = mesh_lib.Mesh(mesh.vertices, jnp.asarray(faces))
  return template_lib.from_mesh(mesh)


@pytest.mark.parametrize('kind', ['turned', 'two-sided', 'sliver'])
def test_a_start_shape_comes_back_as_it_is(kind):
  start = _broken_start(kind)
  assert soundness.bad_faces(
    np.asarray(start.mesh.vertices, np.float64), np.asarray(start.mesh.faces)
  ).any()
  np.testing.assert_array_equal(
    repair.unfold(start.mesh, start).vertices, start.mesh.vertices
  )


def test_what_cannot_be_mended_keeps_its_best_round():
  """Around a vertex that may not move, nothing gets better by smoothing."""
  start = template_lib.mask_template('plain', edge_length=1.2)
  vertices = np.asarray(start.mesh.vertices).copy()
  vertices[start.rim[::3]] += (9.0, -9.0, 0.0)  # pulled over the others
  moved = start.mesh.replace(vertices=jnp.asarray(vertices))
  faces = np.asarray(start.mesh.faces)

  def bad(mesh):
    positions = np.asarray(mesh.vertices, np.float64)
    return int(soundness.bad_faces(positions, faces).sum())

  mended = repair.unfold(moved, start)
  assert 0 < bad(mended) <= bad(moved)
