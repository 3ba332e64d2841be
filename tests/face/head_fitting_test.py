"""Templates follow planted heads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.face import head_fitting
from maskjax.geometry import canonical, soundness, template

FACE = jnp.asarray(canonical.load().vertices)
fit_head = jax.jit(head_fitting.fit_head)


def _head(points):
  """Return a planted head: longer, wider jaw, a nose pushed out."""
  stretched = points * jnp.array([[1.05, 1.1, 0.97]])
  jaw = jnp.exp(-((points[:, 1:2] + 8.0) ** 2) / 20.0)
  nose = jnp.exp(-jnp.sum((points - FACE[4][None]) ** 2, -1) / 8.0)
  wider = stretched + jaw * points * jnp.array([[0.1, 0.0, 0.0]])
  return wider.at[:, 2].add(0.6 * nose)


def test_the_mean_head_moves_nothing():
  mask = template.mask_template('face').mesh.vertices
  np.testing.assert_allclose(fit_head(FACE, mask), mask, atol=1e-4)


def test_the_canonical_face_follows_the_points():
  head = _head(FACE)
  miss = jnp.linalg.norm(fit_head(head, FACE) - head, axis=-1)
  moved = jnp.linalg.norm(head - FACE, axis=-1)
  assert float(moved.max()) > 0.9
  assert float(miss.mean()) < 0.03 and float(miss.max()) < 0.15


@pytest.mark.parametrize('kind', ['plain', 'face'])
def test_masks_follow_and_stay_sound(kind):
  mask = template.mask_template(kind)
  vertices = fit_head(_head(FACE), mask.mesh.vertices)
  before = template.canonical_points(mask)
  after = template.canonical_points(mask, vertices)
  # The gap between mask and face stays what it was.
  gap = (after - _head(FACE)) - (before - FACE)
  assert float(jnp.linalg.norm(gap, axis=-1).mean()) < 0.25
  fitted = mask.mesh.replace(vertices=vertices)
  assert soundness.report(fitted, mask.mesh).sound


def test_noise_is_smoothed_away():
  rng = np.random.default_rng(0)
  noise = jnp.asarray(rng.normal(0, 0.1, FACE.shape), jnp.float32)
  moved = fit_head(FACE + noise, FACE) - FACE
  assert float(jnp.std(moved)) < 0.4 * float(jnp.std(noise))


def test_far_from_the_face_only_stretching_is_left():
  behind = jnp.array([[0.0, 0.0, -15.0], [9.0, 6.0, -10.0]])
  bump = FACE.at[:, 2].add(
    0.5 * jnp.exp(-jnp.sum((FACE - FACE[4][None]) ** 2, -1) / 4)
  )
  moved = fit_head(bump, behind) - behind
  assert float(jnp.abs(moved).max()) < 0.3


def test_gradient_reaches_the_points():
  mask = template.mask_template('plain').mesh.vertices[:50]

  @jax.jit
  def size(t):
    return jnp.mean(head_fitting.fit_head(FACE * t, mask)[:, 1] ** 2)

  numeric = (size(1.01) - size(0.99)) / 0.02
  np.testing.assert_allclose(jax.grad(size)(1.0), numeric, rtol=0.02)
