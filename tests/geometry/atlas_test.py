"""Uv atlases: the same surface, charts that do not overlap."""

import dataclasses
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from maskjax.geometry import atlas, mesh as mesh_lib


def _ball():
  ball = trimesh.creation.icosphere(subdivisions=2, radius=5.0)
  return mesh_lib.Mesh(
    vertices=jnp.asarray(ball.vertices, jnp.float32),
    faces=jnp.asarray(np.asarray(ball.faces), jnp.int32),
    colors=jnp.asarray(
      np.random.default_rng(0).uniform(size=(162, 3)), jnp.float32
    ),
  )


def test_charts_cover_the_mesh_without_overlap():
  pytest.importorskip('xatlas')
  mesh = _ball()
  cut, source = atlas.unwrap(mesh, size=256)
  mesh_lib.check(cut)
  np.testing.assert_array_equal(
    np.asarray(cut.vertices)[np.asarray(cut.faces)],
    np.asarray(mesh.vertices)[np.asarray(mesh.faces)],
  )
  np.testing.assert_array_equal(cut.colors, np.asarray(mesh.colors)[source])
  # Sampled texels lie in at most one face.
  corners = np.asarray(cut.uvs, np.float64)[np.asarray(cut.faces)]
  place = (
    np.stack(np.meshgrid(*[np.arange(128)] * 2), -1).reshape(-1, 2) + 0.5
  ) / 128
  hits = np.zeros(len(place), int)
  for a, b, c in corners:
    sides = [
      (q[0] - p[0]) * (place[:, 1] - p[1])
      - (q[1] - p[1]) * (place[:, 0] - p[0])
      for p, q in ((a, b), (b, c), (c, a))
    ]
    hits += np.all([s > 1e-9 for s in sides], 0) | np.all(
      [s < -1e-9 for s in sides], 0
    )
  assert hits.max() == 1
  assert hits.mean() > 0.4


def test_errors_say_what_to_do(monkeypatch):
  monkeypatch.setitem(sys.modules, 'xatlas', None)
  with pytest.raises(ValueError, match=r"pip install 'maskjax\[atlas\]'"):
    atlas.unwrap(_ball())
  monkeypatch.undo()
  pytest.importorskip('xatlas')
  empty = dataclasses.replace(_ball(), faces=jnp.zeros((0, 3), jnp.int32))
  with pytest.raises(ValueError, match='without faces'):
    atlas.unwrap(empty)
