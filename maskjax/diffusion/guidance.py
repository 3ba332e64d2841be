"""Guidance: how predictions for several prompts become one.

All functions are linear or scale-only in the predictions, and serve noise
and v predictions alike. Shapes: B samples, N negative prompts, any trailing
axes; norms and deviations are per sample, over all trailing axes.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

# Below this a squared length or a deviation counts as zero.
_TINY = 1e-12


def _sample_axes(x: Array) -> tuple[int, ...]:
  """Return all axes but the batch axis."""
  return tuple(range(1, x.ndim))


def classifier_free(
  uncond: Float[Array, 'b ...'],
  text: Float[Array, 'b ...'],
  scale: Float[Array, ''] | float,
) -> Float[Array, 'b ...']:
  """Classifier-free guidance, uncond + scale (text - uncond).

  Args:
    uncond: prediction for the empty (or a negative) prompt.
    text: prediction for the prompt.
    scale: 0 ignores the prompt, 1 follows the model, more exaggerates.

  Returns:
    The guided prediction.

  Source: Ho and Salimans 2207.12598, eq. 6, with scale = 1 + w.
  """
  return uncond + scale * (text - uncond)


def rescale(
  guided: Float[Array, 'b ...'],
  text: Float[Array, 'b ...'],
  phi: Float[Array, ''] | float,
) -> Float[Array, 'b ...']:
  """Take back the contrast that strong guidance adds.

  Args:
    guided: prediction after guidance.
    text: prediction for the prompt alone.
    phi: 0 leaves guided alone, 1 gives it text's standard deviation; the
      paper uses 0.7.

  Returns:
    The rescaled prediction.

  Source: Lin et al. 2305.08891, eq. 15 and 16.
  """
  axes = _sample_axes(guided)
  text_std = jnp.std(text, axis=axes, keepdims=True)
  guided_std = jnp.std(guided, axis=axes, keepdims=True)
  ratio = text_std / jnp.maximum(guided_std, _TINY)
  return phi * guided * ratio + (1 - phi) * guided


def perpendicular(
  vector: Float[Array, '...'], direction: Float[Array, 'b ...']
) -> Float[Array, '...']:
  """Return the part of a vector at right angles to a direction, per sample.

  Args:
    vector: of each sample; may have an axis of prompts in front.
    direction: of each sample; one of length zero takes nothing away.

  Returns:
    The part, in the shape of `vector`.
  """
  axes = _sample_axes(direction)
  if vector.ndim > direction.ndim:
    direction = direction[None]
    axes = tuple(axis + 1 for axis in axes)
  dot = jnp.sum(vector * direction, axis=axes, keepdims=True)
  square = jnp.sum(direction**2, axis=axes, keepdims=True)
  return vector - dot / jnp.maximum(square, _TINY) * direction


def perp_neg(
  uncond: Float[Array, 'b ...'],
  text: Float[Array, 'b ...'],
  negatives: Float[Array, 'n b ...'],
  weights: Num[Array, 'n *b'] | Sequence[float],
  scale: Float[Array, ''] | float,
) -> Float[Array, 'b ...']:
  """Guidance away from negative prompts, without hurting the prompt.

  With d = text - uncond and n_i = negatives_i - uncond,

    uncond + scale (d - sum_i weights_i (n_i - <n_i, d> / |d|^2 d)),

  so that only what a negative prompt does not share with the prompt is
  subtracted.

  Args:
    uncond: prediction for the empty prompt.
    text: prediction for the prompt.
    negatives: predictions for the N negative prompts, one or several.
    weights: how much of each is subtracted, 0 or more; [N], or [N, B] where
      it depends on the sample's view.
    scale: 0 ignores the prompt, 1 follows the model, more exaggerates.

  Returns:
    The guided prediction.

  Raises:
    ValueError: negatives without a leading axis, or weights that do not fit.

  Source: Armandpour et al. 2304.04968, eq. 9 and 10.
  """
  if negatives.ndim != text.ndim + 1:
    raise ValueError(
      f'negatives {negatives.shape} must have one axis of prompts before '
      f'the axes of text {text.shape}'
    )
  weights = jnp.asarray(weights)
  if weights.shape not in (negatives.shape[:1], negatives.shape[:2]):
    raise ValueError(
      f'weights {weights.shape} must be [N] or [N, B] = {negatives.shape[:2]}'
    )
  weights = weights.reshape(
    weights.shape + (1,) * (negatives.ndim - weights.ndim)
  )
  direction = text - uncond
  away = perpendicular(negatives - uncond[None], direction)
  return uncond + scale * (direction - jnp.sum(weights * away, axis=0))
