"""Heads: materials, padding and landmarks of what is built."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.data.people import heads, people


@pytest.fixture(scope='module')
def person():
  drawn = people.sample_person(np.random.default_rng([11, 0]))
  wear = dataclasses.replace(
    drawn.wear, glasses='round', hat='', earrings=0.3, neckline=0
  )
  hair = dataclasses.replace(drawn.hair, cut='bob', length=12.0)
  return dataclasses.replace(drawn, wear=wear, hair=hair, lashes=0.9)


@pytest.fixture(scope='module')
def head(person):
  return heads.build_head(person, texture=jnp.ones((4, 4, 5)))


def test_padding_is_empty_and_of_a_few_sizes(head):
  vertices, faces = head.counts
  assert len(head.vertices) == heads._SIZES[0] > vertices
  assert len(head.faces) == heads._SIZES[1] > faces
  assert not head.faces[faces:].any() and not head.vertices[vertices:].any()
  assert head.faces.max() < vertices and head.shadow_faces.max() < vertices
  # What needs more is padded to a multiple beyond.
  large = np.ones((heads._SIZES[0] + 1, 3), np.float32)
  assert len(heads._pad(large, heads._SIZES[0])) % heads._MORE == 0


def test_all_materials_are_there(head, person):
  vertices, _ = head.counts
  found = set(np.unique(head.materials[:vertices]))
  assert found == {
    heads.SKIN, heads.EYE, heads.TEETH, heads.TONGUE, heads.LASH, heads.HAIR,
    heads.FRAME, heads.JEWEL,
  }  # fmt: skip
  bald = dataclasses.replace(person.hair, cut='bald')
  bare = heads.build_head(
    dataclasses.replace(person, hair=bald), texture=head.texture
  )
  assert heads.HAIR not in bare.materials[: bare.counts[0]]


def test_coordinates_are_those_of_their_material(head):
  eyes = head.coordinates[head.materials == heads.EYE]
  np.testing.assert_allclose(np.linalg.norm(eyes, axis=-1), 1, atol=1e-5)
  hair = head.coordinates[head.materials == heads.HAIR]
  assert hair[:, 0].min() == 0 and hair[:, 0].max() == 1
  assert set(np.unique(hair[:, 1])) == {-1.0, 1.0}
  vertices, _ = head.counts
  lengths = np.linalg.norm(head.normals[:vertices], axis=-1)
  assert np.mean(np.abs(lengths - 1) < 1e-4) > 0.99
  cavity = head.cavity > 0.5
  assert cavity.any() and np.all(head.materials[cavity] == heads.SKIN)


def test_eyes_turn_with_the_gaze(person):
  texture = jnp.ones((4, 4, 5))
  found = []
  for gaze in ((0.0, 0.0), (20.0, 0.0)):
    head = heads.build_head(
      dataclasses.replace(person, gaze=gaze), texture=texture
    )
    rows = head.materials == heads.EYE
    # The direction in the mesh frame of what lies in the gaze, +z.
    ahead = head.coordinates[rows][:, 2].argmax()
    found.append(head.normals[rows][ahead])
  angle = np.degrees(np.arccos(np.dot(found[0], found[1])))
  assert 10 < angle < 30 and found[1][0] > found[0][0]


def test_necklines_differ_and_the_face_is_above_them():
  neck = np.array([[0.0, -13.0, 0.0], [0.0, 0.0, 6.0]])
  lines = [np.asarray(heads.neck_height(neck, float(k))) for k in range(4)]
  assert len({float(line[0]) for line in lines}) == 4
  assert all(line[1] > 0 for line in lines)
  # A turtleneck is the highest.
  assert min(lines, key=lambda line: line[0]) is lines[2]


def test_hats_hide_the_locks_below(person):
  texture = jnp.ones((4, 4, 5))
  hat = dataclasses.replace(person.wear, hat='beanie')
  bare, covered = (
    heads.build_head(dataclasses.replace(person, wear=wear), texture=texture)
    for wear in (person.wear, hat)
  )

  def top(head):
    return head.vertices[head.materials == heads.HAIR][:, 1].max()

  assert top(covered) < top(bare) - 2
  assert np.any(covered.materials == heads.HAT)


def test_meshes_are_coloured_and_without_padding(head):
  mesh = heads.to_mesh(head)
  assert mesh.vertices.shape == mesh.colors.shape == (head.counts[0], 3)
  assert mesh.faces.shape == (head.counts[1], 3)
  hair = head.materials[: head.counts[0]] == heads.HAIR
  expected = np.broadcast_to(head.look.hair, (hair.sum(), 3))
  np.testing.assert_allclose(mesh.colors[hair], expected)
