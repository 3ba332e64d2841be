"""Tests of guidance formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import guidance


def _numbers(seed, *shape):
  numbers = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(numbers, jnp.float32)


UNCOND, TEXT = _numbers(0, 2, 4, 4, 3), _numbers(1, 2, 4, 4, 3)
NEGATIVES = _numbers(2, 3, 2, 4, 4, 3)
# Of what guidance of 7.5 makes: up to 64, which have a spacing of 3.8e-6; sums
# of a few of them differ in their order.
_FEW_SPACINGS = 4e-5


def test_classifier_free_at_its_fixed_points():
  for scale, expected in ((0.0, UNCOND), (1.0, TEXT)):
    # A difference of up to 8, which has a spacing of 4.8e-7.
    np.testing.assert_allclose(
      guidance.classifier_free(UNCOND, TEXT, scale), expected, atol=2e-6
    )
  np.testing.assert_allclose(
    guidance.classifier_free(UNCOND, TEXT, 7.5),
    7.5 * TEXT - 6.5 * UNCOND,
    atol=_FEW_SPACINGS,
  )


def test_rescale_equals_diffusers():
  pytest.importorskip('diffusers')
  torch = pytest.importorskip('torch')
  from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion

  guided = guidance.classifier_free(UNCOND, TEXT, 7.5)
  expected = pipeline_stable_diffusion.rescale_noise_cfg(
    torch.tensor(np.array(guided)),
    torch.tensor(np.array(TEXT)),
    guidance_rescale=0.7,
  )
  np.testing.assert_allclose(
    guidance.rescale(guided, TEXT, 0.7),
    expected.numpy(),
    atol=_FEW_SPACINGS,
  )


def test_rescale_restores_the_deviation():
  guided = guidance.classifier_free(UNCOND, TEXT, 30.0)
  whole = guidance.rescale(guided, TEXT, 1.0)
  np.testing.assert_allclose(
    jnp.std(whole, axis=(1, 2, 3)), TEXT.std((1, 2, 3)), rtol=1e-5
  )
  np.testing.assert_array_equal(guidance.rescale(guided, TEXT, 0.0), guided)
  flat = jnp.ones((1, 2, 2, 1))
  assert np.isfinite(guidance.rescale(flat, flat, 0.7)).all()


def _perp_neg(uncond, text, negatives, weights, scale):
  """Return the formula's value, sample by sample, in float64."""
  uncond, text, negatives, weights = (
    np.asarray(x) for x in (uncond, text, negatives, weights)
  )
  result = np.empty(text.shape)
  for b in range(len(text)):
    d = (text[b] - uncond[b]).astype(np.float64).ravel()
    total = d.copy()
    for i in range(len(negatives)):
      n = (negatives[i, b] - uncond[b]).astype(np.float64).ravel()
      total -= weights[i, b] * (n - (n @ d) / (d @ d) * d)
    result[b] = uncond[b] + scale * total.reshape(text.shape[1:])
  return result


def test_perp_neg_equals_the_formula():
  weights = jnp.abs(_numbers(3, 3, 2))
  expected = _perp_neg(UNCOND, TEXT, NEGATIVES, weights, 7.5)
  found = guidance.perp_neg(UNCOND, TEXT, NEGATIVES, weights, 7.5)
  np.testing.assert_allclose(found, expected, atol=_FEW_SPACINGS)
  jitted = jax.jit(guidance.perp_neg)
  np.testing.assert_allclose(
    jitted(UNCOND, TEXT, NEGATIVES, weights, 7.5), found, atol=_FEW_SPACINGS
  )
  same = guidance.perp_neg(UNCOND, TEXT, NEGATIVES, jnp.ones(3), 7.5)
  np.testing.assert_allclose(
    same,
    _perp_neg(UNCOND, TEXT, NEGATIVES, np.ones((3, 2)), 7.5),
    atol=_FEW_SPACINGS,
  )


def test_a_negative_along_the_prompt_takes_nothing_away():
  along = (UNCOND + 0.5 * (TEXT - UNCOND))[None]
  np.testing.assert_allclose(
    guidance.perp_neg(UNCOND, TEXT, along, jnp.ones(1), 7.5),
    guidance.classifier_free(UNCOND, TEXT, 7.5),
    atol=_FEW_SPACINGS,
  )
  # A prompt that changes nothing leaves no direction to keep.
  found = guidance.perp_neg(UNCOND, UNCOND, along, jnp.ones(1), 7.5)
  assert np.isfinite(found).all()


def test_perpendicular_is_at_right_angles():
  away = guidance.perpendicular(NEGATIVES, TEXT)
  dots = jnp.sum(away * TEXT[None], axis=(2, 3, 4))
  np.testing.assert_allclose(dots, np.zeros((3, 2)), atol=1e-4)


def test_shapes_are_checked(unchecked):
  del unchecked
  with pytest.raises(ValueError, match='one axis of prompts'):
    guidance.perp_neg(UNCOND, TEXT, TEXT, jnp.ones(2), 7.5)
  with pytest.raises(ValueError, match=r'\[N\] or \[N, B\]'):
    guidance.perp_neg(UNCOND, TEXT, NEGATIVES, jnp.ones(2), 7.5)
