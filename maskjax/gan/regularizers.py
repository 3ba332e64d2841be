"""Lazy losses of an adversarial training: density, path lengths, R1.

Each is computed every few steps only and then counts that much more (Karras
et al. 2020, section 3.1, "lazy regularization"). Those of a generator have
one signature, see `kinds`.

Shapes: B samples, H W pixels, K channels. Follows Chan et al., CVPR 2022,
supplement (density), Karras et al. 2020, section 3.2 and appendix B (path
lengths), and Mescheder et al., ICML 2018 (R1).
"""

import functools
from typing import Any

import jax
from jaxtyping import Array, Float, Key

from maskjax.gan import (
  adversarial,
  context as context_lib,
  draws as draws_lib,
  fakes,
  losses,
)

PyTree = Any


def density(
  context: context_lib.Context,
  state: adversarial.GANState,
  params: PyTree,
  rng: Key[Array, ''],
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """Return the weighted density loss of EG3D.

  Args:
    context: of the step.
    state: before the update.
    params: of the generator, to differentiate by.
    rng: key that latents, points and noise are drawn from.

  Returns:
    The loss, and the mean path length, which stays as it is.
  """
  generator: Any = context.generator
  variables, shifts = context_lib.split_shifts(params, state.buffers)
  for_z, for_batch, for_draws = jax.random.split(rng, 3)
  value = losses.density_variation(
    generator,
    variables,
    context_lib.latents(context, for_z),
    context.batch.fake_c,
    draws_lib.for_density(
      generator,
      for_batch,
      context_lib.keys(context, for_draws),
      points=context.config.density_points,
      swaps=context.conditioned,
      mixes=context.mixes,
    ),
    distance=context.config.density_distance,
    swap_probability=context.swap,
    mixing_probability=context.config.mixing_probability,
    shifts=shifts,
    axis_name=context.axis_name,
  )
  return value * context.config.density_weight, state.path_mean


def path_length(
  context: context_lib.Context,
  state: adversarial.GANState,
  params: PyTree,
  rng: Key[Array, ''],
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """Return the weighted path length loss of StyleGAN2.

  Args:
    context: of the step.
    state: before the update, with the mean path length so far.
    params: of the generator, to differentiate by.
    rng: key that latents, noise and directions are drawn from.

  Returns:
    The loss, and the new mean path length.
  """
  config = context.config
  generator: Any = context.generator
  variables, _ = context_lib.split_shifts(params, state.buffers)
  for_z, for_draws, for_direction = jax.random.split(rng, 3)
  count = max(context.size // config.path_shrink, 1)
  c = context.batch.fake_c
  draws = draws_lib.for_images(
    generator,
    context_lib.keys(context, for_draws)[:count],
    mixes=context.mixes,
  )
  ws = fakes.map_mixed(
    generator,
    variables,
    context_lib.latents(context, for_z)[:count],
    None if c is None else c[:count],
    draws.mixing,
    config.mixing_probability,
  )
  shape = context.batch.image.shape[1:]
  directions = jax.vmap(lambda key: jax.random.normal(key, shape))(
    context_lib.keys(context, for_direction)[:count]
  )
  lengths = losses.path_lengths(
    generator, variables, ws, directions, draws.noise
  )
  value, mean = losses.path_penalty(
    lengths,
    state.path_mean,
    decay=config.path_decay,
    axis_name=context.axis_name,
  )
  return value * config.path_weight, mean


def r1(
  context: context_lib.Context,
  state: adversarial.GANState,
  params: PyTree,
  rng: Key[Array, ''],
  *,
  at_shown: bool,
) -> Float[Array, '']:
  """Return the mean squared slope of the discriminator at real images.

  Args:
    context: of the step.
    state: before the update.
    params: of the discriminator, to differentiate by.
    rng: key that augmentation is drawn from.
    at_shown: take the slope at the images that are shown, blurred and
      augmented, as EG3D's reference does, rather than at those of the data.
  """
  images = context_lib.real_images(context)
  view = functools.partial(
    context_lib.view,
    context,
    probability=state.controller.probability,
    rng=rng,
  )
  images = view(images) if at_shown else images

  def logits_of(images):
    shown = images if at_shown else view(images)
    return context_lib.discriminate(context, params, shown, context.batch.c)

  squares, _ = losses.r1_penalty(logits_of, images)
  return squares.mean()
