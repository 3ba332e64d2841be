"""The trainable mask: smooth, bounded, pinned, sound."""

import jax
import jax.numpy as jnp
import numpy as np

from configs import mask as mask_config
from maskjax.geometry import soundness, template as template_lib
from maskjax.mask import repair, surface as surface_lib

_BOUND = 0.5


def _surface(pin_rim=True):
  template = template_lib.mask_template('plain', edge_length=1.2)
  return surface_lib.create(template, smoothing=8.0, pin_rim=pin_rim)


def _params(surface, scale, seed=0):
  shape = surface.template.mesh.vertices.shape
  offsets = scale * jax.random.normal(jax.random.key(seed), shape)
  return surface_lib.MaskParams(offsets, jnp.zeros(shape))


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
  moved = surface_lib.positions(surface, _params(surface, 30.0), bound=_BOUND)
  offsets = np.asarray(moved) - rest
  np.testing.assert_array_equal(offsets[surface.template.rim], 0.0)
  lengths = np.linalg.norm(offsets, axis=1)
  limit = _BOUND * surface_lib.HEAD_WIDTH_CM
  assert 0.8 * limit < lengths.max() <= limit * 1.0001
  # A push on one vertex moves its neighbours along.
  params = _params(surface, 0.0)
  index = int(np.argmax(rest[:, 2]))
  params = params._replace(offsets=params.offsets.at[index, 2].set(1.0))
  moved = surface_lib.positions(surface, params, bound=_BOUND)
  near = np.asarray(moved)[:, 2] - rest[:, 2]
  assert (near > 0.1 * near[index]).sum() > 6


def test_free_rim_moves():
  surface = _surface(pin_rim=False)
  moved = surface_lib.positions(surface, _params(surface, 1.0), bound=_BOUND)
  offsets = np.asarray(moved - surface.template.mesh.vertices)
  assert np.abs(offsets[surface.template.rim]).min() > 0.0


def test_regularizers_are_zero_at_rest_and_finite_on_wild_shapes():
  surface = _surface()
  weights = mask_config.get_config().regularizers
  rest = surface.template.mesh.vertices
  terms = surface_lib.regularize(surface, rest, weights)
  assert set(terms) == set(weights)
  for name in ('laplacian', 'edge_length', 'symmetry', 'foldover'):
    assert float(terms[name]) < 1e-8
  flat = rest * jnp.array([[1.0, 0.0, 0.0]])

  def total(v):
    return sum(surface_lib.regularize(surface, v, weights).values())

  assert np.isfinite(total(flat))
  assert np.isfinite(np.asarray(jax.grad(total)(flat))).all()


def test_unfold_mends_a_folded_mask_and_spares_a_sound_one():
  surface = _surface()
  template = surface.template
  sound = surface_lib.assemble(surface, _params(surface, 0.02), bound=_BOUND)
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
