"""The adversarial training step of StyleGAN2 and EG3D.

`make_gan_step` turns two networks and an `adversarial.GANConfig` into one pure
function `step(state, rng, batch, axis_name=None) -> (state, metrics)`, to be
jitted or given to `training.parallel.data_parallel`. A step updates the
generator, now and then regularises it, updates the discriminator, now and
then regularises it, and moves the averages, in the reference's order. Steps
with different parts are different programs, chosen on the host by the number
of the step (`optimizers.due`): XLA compiles a branch on the device badly
for CPUs, where its convolutions take twenty times as long.

The side of the raw rendering is the side of `batch.raw`, or the config's: a
new side is a new compilation, so move through few (`schedules.raw_resolution`).

Shapes: B samples, H W pixels, S side of the raw rendering. Follows Karras et
al. 2020, appendix B, Karras et al., "Limited Data", NeurIPS 2020, and Chan et
al., CVPR 2022, section 4 and supplement.
"""

from collections.abc import Callable
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from maskjax.gan import (
  adversarial,
  augment as augment_lib,
  context as context_lib,
  fakes as fakes_lib,
  kinds,
  losses,
  optimizers,
  regularizers,
  schedules,
)
from maskjax.training import parallel, state as state_lib

PyTree = adversarial.PyTree
Metrics = dict[str, Float[Array, '']]
Step = Callable[..., tuple[adversarial.GANState, Metrics]]
Fakes = tuple[fakes_lib.Images, Float[Array, 'b n d']]


def _generate(
  context: context_lib.Context,
  params: PyTree,
  buffers: PyTree,
  rng: Key[Array, ''],
) -> Fakes:
  """Make generated images and their w."""
  kind = kinds.of(context.generator)
  variables, shifts = context_lib.split_shifts(params, buffers)
  for_z, for_draws = jax.random.split(rng)
  draws = kind.draw(
    context.generator,
    context_lib.keys(context, for_draws),
    resolution=context.resolution,
    swaps=context.conditioned,
    mixes=context.mixes,
  )
  return kind.generate(
    context.generator,
    variables,
    context_lib.latents(context, for_z),
    context.batch.fake_c,
    draws,
    swap_probability=context.swap,
    mixing_probability=context.config.mixing_probability,
    resolution=context.resolution,
    shifts=shifts,
    axis_name=context.axis_name,
  )


def _anchor(
  context: context_lib.Context,
  params: PyTree,
  buffers: PyTree,
  rng: Key[Array, ''],
) -> Float[Array, '']:
  """Return the loss of known scenes, 0 without any."""
  known = context.batch.known
  if known is None or not context.config.anchor_weight:
    return jnp.zeros(())
  variables, _ = context_lib.split_shifts(params, buffers)
  return kinds.of(context.generator).anchor(context, known, variables, rng)


def _train_generator(
  context: context_lib.Context,
  state: adversarial.GANState,
  tx: optimizers.Optimizers,
  rng: Key[Array, ''],
) -> tuple[adversarial.GANState, Fakes, Metrics]:
  """Update the generator; return its images, too."""
  batch = context.batch
  for_images, for_augment = jax.random.split(rng)
  for_anchor = jax.random.fold_in(rng, 1)

  def loss(params):
    images, ws = _generate(context, params, state.buffers, for_images)
    shown = context_lib.view(
      context,
      images,
      probability=state.controller.probability,
      rng=for_augment,
    )
    logits = context_lib.discriminate(
      context, state.discriminator.params, shown, batch.fake_c
    )
    value = losses.logistic(logits).mean()
    anchor = _anchor(context, params, state.buffers, for_anchor)
    total = value + context.config.anchor_weight * anchor
    return total, (images, ws, logits, value, anchor)

  compute = jax.grad(loss, has_aux=True)
  gradients, (images, ws, logits, value, anchor) = compute(
    state.generator.params
  )
  own = context_lib.update(context, state.generator, gradients, tx.generator)
  metrics = {'generator': value, 'logit_fake': logits.mean()}
  if context.config.anchor_weight:
    metrics['anchor'] = anchor
  return dataclasses.replace(state, generator=own), (images, ws), metrics


def _regularize_generator(
  context: context_lib.Context,
  state: adversarial.GANState,
  tx: optimizers.Optimizers,
  rng: Key[Array, ''],
) -> adversarial.GANState:
  """Update the generator by its lazy loss."""
  regularizer = kinds.of(context.generator).regularizer
  period = regularizer.period(context.config)

  def loss(params):
    value, path_mean = regularizer.loss(context, state, params, rng)
    return value * period, (value, path_mean)

  compute = jax.grad(loss, has_aux=True)
  gradients, (value, path_mean) = compute(state.generator.params)
  value = parallel.pmean(value, context.axis_name)
  return dataclasses.replace(
    state,
    generator=context_lib.update(
      context, state.generator, gradients, tx.generator
    ),
    path_mean=path_mean,
    penalties={**state.penalties, 'generator': value},
  )


def _train_discriminator(
  context: context_lib.Context,
  state: adversarial.GANState,
  tx: optimizers.Optimizers,
  fakes: Fakes | None,
  rng: Key[Array, ''],
) -> tuple[adversarial.GANState, Metrics]:
  """Update the discriminator, the mean latent and the controller."""
  for_images, for_fake, for_real = jax.random.split(rng, 3)
  if fakes is None:
    fakes = _generate(
      context, state.generator.params, state.buffers, for_images
    )
  images, ws = jax.lax.stop_gradient(fakes)
  probability, batch = state.controller.probability, context.batch
  shown = context_lib.view(
    context, images, probability=probability, rng=for_fake
  )
  real_shown = context_lib.view(
    context,
    context_lib.real_images(context),
    probability=probability,
    rng=for_real,
  )

  def loss(params):
    fake = context_lib.discriminate(context, params, shown, batch.fake_c)
    real = context_lib.discriminate(context, params, real_shown, batch.c)
    value = losses.logistic(-fake).mean() + losses.logistic(real).mean()
    return value, (real, fake)

  compute = jax.value_and_grad(loss, has_aux=True)
  (value, (real, fake)), gradients = compute(state.discriminator.params)
  own = context_lib.update(
    context, state.discriminator, gradients, tx.discriminator
  )
  signs = parallel.pmean(jnp.sign(real).mean(), context.axis_name)
  state = dataclasses.replace(
    state,
    discriminator=own,
    buffers=_move_mean_latent(context, state.buffers, ws),
    controller=augment_lib.observe(state.controller, signs),
  )
  metrics = {
    'generator': losses.logistic(fake).mean(),
    'logit_fake': fake.mean(),
    'discriminator': value,
    'logit_real': real.mean(),
    'sign_real': jnp.sign(real).mean(),
    'sign_fake': jnp.sign(fake).mean(),
  }
  return state, metrics


def _move_mean_latent(
  context: context_lib.Context, buffers: PyTree, ws: Float[Array, 'b n d']
) -> PyTree:
  """Return the generator's buffers with the mean latent moved."""
  mean = parallel.pmean(ws[:, 0].mean(0), context.axis_name)

  def move(path, leaf):
    if path[-1].key != 'w_avg':
      return leaf
    return state_lib.update_average(leaf, mean, decay=context.config.w_decay)

  return jax.tree_util.tree_map_with_path(move, buffers)


def _regularize_discriminator(
  context: context_lib.Context,
  state: adversarial.GANState,
  tx: optimizers.Optimizers,
  rng: Key[Array, ''],
) -> adversarial.GANState:
  """Update the discriminator by R1."""
  config, kind = context.config, kinds.of(context.generator)

  def loss(params):
    value = regularizers.r1(
      context, state, params, rng, at_shown=kind.r1_at_shown
    )
    return value * (config.r1_gamma / 2 * config.r1_every), value

  compute = jax.grad(loss, has_aux=True)
  gradients, value = compute(state.discriminator.params)
  value = parallel.pmean(value, context.axis_name)
  own = context_lib.update(
    context, state.discriminator, gradients, tx.discriminator
  )
  return dataclasses.replace(
    state, discriminator=own, penalties={**state.penalties, 'r1': value}
  )


def _average(
  context: context_lib.Context, state: adversarial.GANState, images: int
) -> PyTree:
  """Move the generator's average."""
  decay = schedules.ema_decay(
    state.step * images,
    images,
    kimg=context.config.average_kimg,
    rampup=context.config.average_rampup,
  )
  return state_lib.update_average(
    state.average, state.generator.params, decay=decay
  )


def _adjust(
  context: context_lib.Context, state: adversarial.GANState, images: int
) -> adversarial.GANState:
  """Adapt the strength of augmentation."""
  config = context.config
  if config.augment is None or config.augment_target is None:
    return state
  adjusted = augment_lib.adjust(
    state.controller,
    images * config.augment_every,
    target=config.augment_target,
    kimg=config.augment_kimg,
  )
  due = (state.step + 1) % config.augment_every == 0
  controller = jax.tree.map(
    lambda new, old: jnp.where(due, new, old), adjusted, state.controller
  )
  return dataclasses.replace(state, controller=controller)


def _check(
  generator: nn.Module,
  config: adversarial.GANConfig,
  batch: adversarial.GANBatch,
) -> None:
  """Refuse batches that the networks cannot take, in one line."""
  side = generator.config.output_side
  without = batch.c is None or batch.fake_c is None
  if kinds.of(generator).has_cameras and without:
    raise ValueError('EG3D trains on cameras: give c and fake_c')
  if batch.image.shape[1:3] != (side, side):
    raise ValueError(
      f'the generator makes images of {side}x{side}, the batch has '
      f'{batch.image.shape[1]}x{batch.image.shape[2]}'
    )
  if config.anchor_weight and batch.known is None:
    raise ValueError('an anchor needs known scenes: give known')


def _context(
  generator: nn.Module,
  discriminator: nn.Module,
  config: adversarial.GANConfig,
  batch: adversarial.GANBatch,
  *,
  seen: Int[Array, ''],
  axis_name: str | None,
) -> context_lib.Context:
  """Return what the phases of a step share, after `seen` images."""
  blur, side = None, generator.config.rendering_resolution
  if config.blur_sigma and config.blur_kimg:
    blur = schedules.blur_sigma(
      seen, start=config.blur_sigma, kimg=config.blur_kimg
    )
  if side is not None and batch.raw is not None:
    side = batch.raw.shape[1]
  return context_lib.Context(
    generator=generator,
    discriminator=discriminator,
    config=config,
    axis_name=axis_name,
    batch=batch,
    resolution=side,
    blur=blur,
    swap=schedules.swap_probability(
      seen, end=config.swap_end or 0.0, kimg=config.swap_kimg
    ),
  )


def make_gan_step(
  generator: nn.Module,
  discriminator: nn.Module,
  config: adversarial.GANConfig | None = None,
  *,
  tx: optimizers.Optimizers | None = None,
  parts: adversarial.Parts | None = None,
) -> Step:
  """Return the training step of two networks.

  Args:
    generator: of one of `kinds.KINDS`.
    discriminator: `discriminator.Discriminator`, of six channels for a
      generator with cameras.
    config: of the training, None for the defaults.
    tx: optimisers, the same as in `optimizers.first_state`; e.g. masked to
      freeze weights.
    parts: what this step does, see `optimizers.due`; None for all of it.

  Returns:
    `step(state, rng, batch, axis_name=None) -> (state, metrics)`, pure, not
    yet jitted. `rng` is the step's own key, the same on all devices; `batch`
    is an `adversarial.GANBatch`. Metrics are scalars: 'loss' (of both
    networks), those of each network, mean logits and signs, the last lazy
    penalties, and the schedules' values.
  """
  config = config or adversarial.GANConfig()
  tx = tx or optimizers.create(generator, config)
  regularizer = kinds.of(generator).regularizer
  parts = parts or adversarial.Parts()

  def step(state, rng, batch, *, axis_name=None):
    _check(generator, config, batch)
    devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    images = batch.image.shape[0] * devices
    context = _context(
      generator,
      discriminator,
      config,
      batch,
      seen=state.step * images,
      axis_name=axis_name,
    )
    rngs = jax.random.split(rng, 4)
    fakes, metrics = None, {}
    if parts.generator:
      state, fakes, metrics = _train_generator(context, state, tx, rngs[0])
    if parts.variation and regularizer.weight(config):
      state = _regularize_generator(context, state, tx, rngs[1])
    state, more = _train_discriminator(
      context, state, tx, fakes if config.reuse_fakes else None, rngs[2]
    )
    if parts.r1 and config.r1_gamma:
      state = _regularize_discriminator(context, state, tx, rngs[3])
    metrics = parallel.pmean({**more, **metrics}, axis_name)
    metrics |= {
      'loss': metrics['generator'] + metrics['discriminator'],
      'r1': state.penalties['r1'],
      regularizer.name: state.penalties['generator'],
      'augment': state.controller.probability,
      'swap': context.swap,
      'blur': jnp.zeros(()) if context.blur is None else context.blur,
    }
    state = dataclasses.replace(state, average=_average(context, state, images))
    state = _adjust(context, state, images)
    return dataclasses.replace(state, step=state.step + 1), metrics

  return step
