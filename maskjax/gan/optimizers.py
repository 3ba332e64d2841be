"""Optimisers of an adversarial training, and what each of its steps does.

A network that has an extra update every k steps, by a lazy loss, learns with
rates and decays that are lowered by k / (k + 1) (Karras et al. 2020, appendix
B, "lazy regularization").
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from maskjax.gan import (
  adversarial,
  augment as augment_lib,
  kinds,
  model as model_lib,
)
from maskjax.training import state as state_lib

_ZERO = functools.partial(jnp.zeros, (), jnp.float32)


class Optimizers(NamedTuple):
  """Transformations of gradients into updates."""

  generator: optax.GradientTransformation
  discriminator: optax.GradientTransformation


def _adam(
  rate: float, config: adversarial.GANConfig, period: int | None
) -> optax.GradientTransformation:
  """Return Adam for a network that an extra update every period slows."""
  ratio = 1.0 if period is None else period / (period + 1)
  first, second = config.betas
  return optax.adam(
    rate * ratio, b1=first**ratio if first else 0.0, b2=second**ratio
  )


def create(generator: nn.Module, config: adversarial.GANConfig) -> Optimizers:
  """Return the optimisers of the reference.

  Args:
    generator: network; its kind says which lazy loss it has.
    config: of the training.
  """
  regularizer = kinds.of(generator).regularizer
  weight, period = regularizer.weight(config), regularizer.period(config)
  return Optimizers(
    _adam(config.generator_rate, config, period if weight else None),
    _adam(
      config.discriminator_rate,
      config,
      config.r1_every if config.r1_gamma else None,
    ),
  )


def due(
  generator: nn.Module, config: adversarial.GANConfig, step: int
) -> adversarial.Parts:
  """Return what a step does.

  Args:
    generator: network; its kind says which lazy loss it has.
    config: of the training.
    step: number of finished steps.
  """
  regularizer = kinds.of(generator).regularizer
  weight, period = regularizer.weight(config), regularizer.period(config)
  learns = step >= config.generator_pause
  return adversarial.Parts(
    generator=learns,
    variation=learns and bool(weight) and step % period == 0,
    r1=bool(config.r1_gamma) and step % config.r1_every == 0,
  )


@functools.partial(jax.jit, static_argnames=('tx', 'probability'))
def _first_state(
  for_generator: adversarial.PyTree,
  for_discriminator: adversarial.PyTree,
  buffers: adversarial.PyTree,
  *,
  tx: Optimizers,
  probability: float,
) -> adversarial.GANState:
  """Start a state; one program instead of one for each shape of an array."""
  for_generator = state_lib.copy(for_generator)
  for_discriminator = state_lib.copy(for_discriminator)
  return adversarial.GANState(
    step=jnp.zeros((), jnp.int32),
    generator=adversarial.NetworkState(
      for_generator, tx.generator.init(for_generator)
    ),
    discriminator=adversarial.NetworkState(
      for_discriminator, tx.discriminator.init(for_discriminator)
    ),
    buffers=state_lib.copy(buffers),
    average=state_lib.copy(for_generator),
    path_mean=_ZERO(),
    controller=augment_lib.start(probability),
    penalties={'r1': _ZERO(), 'generator': _ZERO()},
  )


def first_state(
  generator: model_lib.Model,
  discriminator: model_lib.Model,
  config: adversarial.GANConfig,
  *,
  tx: Optimizers | None = None,
) -> adversarial.GANState:
  """Return the state at the start of a training.

  Args:
    generator: network with its first variables, random or restored.
    discriminator: the same.
    config: of the training.
    tx: optimisers, None for those of `create`.
  """
  return _first_state(
    generator.variables['params'],
    discriminator.variables['params'],
    generator.variables.get('buffers', {}),
    tx=tx or create(generator.module, config),
    probability=config.augment_probability,
  )
