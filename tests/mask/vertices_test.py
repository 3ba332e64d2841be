"""Moving vertices: smooth, bounded, pinned, with energies that rest at zero."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.mask import surface as surface_lib, trainable, vertices
from tests.mask import small

_BOUND = 0.5


def _surface(pin_rim=True):
  settings = small.settings(
    **{'optimizer.smoothing': 8.0, 'optimizer.pin_rim': pin_rim}
  )
  template = surface_lib.load_template(settings)
  return surface_lib.create(template, settings)


def _params(surface, scale, seed=0):
  shape = surface.template.mesh.vertices.shape
  offsets = scale * jax.random.normal(jax.random.key(seed), shape)
  return trainable.MaskParams(offsets, jnp.zeros(shape))


def _positions(surface, params):
  return vertices.positions(surface.base, params.offsets, _BOUND)


def test_no_offsets_is_the_start_shape_and_colours_round_trip():
  surface = _surface()
  rest = surface.template.mesh.vertices
  wanted = jax.random.uniform(
    jax.random.key(0), rest.shape, minval=0.02, maxval=0.98
  )
  params = surface_lib.initial_params(surface, wanted)
  mesh = surface_lib.assemble(surface, params, bound=_BOUND)
  np.testing.assert_array_equal(mesh.vertices, rest)
  np.testing.assert_allclose(mesh.colors, wanted, atol=1e-5)


def test_offsets_are_smoothed_bounded_and_leave_the_rim():
  surface = _surface()
  rest = np.asarray(surface.template.mesh.vertices)
  moved = _positions(surface, _params(surface, 30.0))
  offsets = np.asarray(moved) - rest
  np.testing.assert_array_equal(offsets[surface.template.rim], 0.0)
  lengths = np.linalg.norm(offsets, axis=1)
  limit = _BOUND * trainable.HEAD_WIDTH_CM
  assert 0.8 * limit < lengths.max() <= limit * 1.0001
  # A push on one vertex moves its neighbours along.
  params = _params(surface, 0.0)
  index = int(np.argmax(rest[:, 2]))
  params = params._replace(offsets=params.offsets.at[index, 2].set(1.0))
  moved = _positions(surface, params)
  near = np.asarray(moved)[:, 2] - rest[:, 2]
  assert (near > 0.1 * near[index]).sum() > 6


def test_free_rim_moves():
  surface = _surface(pin_rim=False)
  moved = _positions(surface, _params(surface, 1.0))
  offsets = np.asarray(moved - surface.template.mesh.vertices)
  assert np.abs(offsets[surface.template.rim]).min() > 0.0


def test_regularizers_are_zero_at_rest_and_finite_on_wild_shapes():
  surface = _surface()
  weights = small.settings().regularizers
  rest = surface.template.mesh.vertices
  terms = vertices.energies(surface.base, rest, weights)
  assert set(terms) == {f.name for f in dataclasses.fields(weights)}
  for name in ('laplacian', 'edge_length', 'symmetry', 'foldover'):
    assert float(terms[name]) < 1e-8
  flat = rest * jnp.array([[1.0, 0.0, 0.0]])

  def total(v):
    return sum(vertices.energies(surface.base, v, weights).values())

  assert np.isfinite(total(flat))
  assert np.isfinite(np.asarray(jax.grad(total)(flat))).all()


def test_the_largest_offset_is_that_of_the_vertices():
  surface = _surface()
  params = _params(surface, 0.01)
  moved = _positions(surface, params) - surface.template.mesh.vertices
  # Far below the bound, nothing is shortened.
  found = surface.geometry.largest_offset(surface.base, params.offsets, 100.0)
  np.testing.assert_allclose(
    found, jnp.linalg.norm(moved, axis=-1).max(), rtol=1e-2
  )


def test_no_step_is_held_back():
  surface = _surface()
  updates = {'x': jnp.ones(2)}
  assert surface.geometry.hold(updates, {}) is updates
  surface.geometry.watch(3, {'loss': 1.0})
