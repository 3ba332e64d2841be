"""The adversarial training step of StyleGAN2 and EG3D.

`make_gan_step` turns two networks and a `players.GANConfig` into one pure
function `step(state, rng, batch, axis_name=None) -> (state, metrics)`, to be
jitted or given to `training.parallel.data_parallel`. A step updates the
generator, now and then regularises it, updates the discriminator, now and
then regularises it, and moves the averages, in the reference's order. Steps
with different parts are different programs, chosen on the host by the number
of the step (`players.due`): XLA compiles a branch on the device badly
for CPUs, where its convolutions take twenty times as long.

The side of the raw rendering is the side of `batch.raw`, or the config's: a
new side is a new compilation, so move through few (`schedules.raw_resolution`).

Shapes: B samples, H W pixels, S side of the raw rendering. Follows Karras et
al. 2020, appendix B, Karras et al., "Limited Data", NeurIPS 2020, and Chan et
al., CVPR 2022, section 4 and supplement.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import optax

from maskjax.gan import (
  augment as augment_lib,
  autodecoder,
  draws as draws_lib,
  eg3d,
  losses,
  mapping,
  players,
  schedules,
)
from maskjax.training import parallel

PyTree = players.PyTree
Metrics = dict[str, Float[Array, '']]
Step = Callable[..., tuple[players.GANState, Metrics]]

# Latents are held, and the game has a density loss of its own.
_ANCHOR = autodecoder.DecoderLosses(prior=0.0, density=0.0, density_points=1)
# Largest entry that is left of a gradient that is not finite.
_LIMIT = 1e5


class _Game(NamedTuple):
  """What the phases of a step share."""

  generator: nn.Module
  discriminator: nn.Module
  config: players.GANConfig
  tx: players.Optimizers
  axis_name: str | None
  batch: players.GANBatch
  resolution: int | None
  blur: Array | None
  swap: Array

  @property
  def size(self) -> int:
    """Samples on this device."""
    return self.batch.image.shape[0]

  @property
  def conditioned(self) -> bool:
    """Whether the mapping sees cameras."""
    return self.config.swap_end is not None

  @property
  def mixes(self) -> bool:
    """Whether styles are mixed."""
    return self.config.mixing_probability > 0


def _variables(params: PyTree, buffers: PyTree) -> tuple[PyTree, PyTree]:
  """Split trained parameters into a network's variables and style shifts."""
  own = {name: value for name, value in params.items() if name != 'shifts'}
  return {'params': own, 'buffers': buffers}, params.get('shifts')


def _update(
  game: _Game, player: players.Player, gradients: PyTree, tx: Any
) -> players.Player:
  """Take a step along gradients, averaged over devices and made finite."""
  gradients = parallel.pmean(gradients, game.axis_name)
  gradients = jax.tree.map(
    lambda x: jnp.nan_to_num(x, nan=0.0, posinf=_LIMIT, neginf=-_LIMIT),
    gradients,
  )
  updates, opt_state = tx.update(gradients, player.opt_state, player.params)
  return players.Player(optax.apply_updates(player.params, updates), opt_state)


def _keys(game: _Game, rng: Array) -> Array:
  """Return a key for each sample."""
  return parallel.example_keys(rng, game.size, game.axis_name)


def _latents(game: _Game, rng: Array) -> Array:
  """Draw z."""
  config = game.generator.config
  size = getattr(config, 'backbone', config).z_dim
  return jax.vmap(lambda key: jax.random.normal(key, (size,)))(_keys(game, rng))


def _generate(game: _Game, params: PyTree, buffers: PyTree, rng: Array):
  """Make fake images and their w."""
  variables, shifts = _variables(params, buffers)
  for_z, for_draws = jax.random.split(rng)
  draws = draws_lib.draw(
    game.generator,
    _keys(game, for_draws),
    resolution=game.resolution,
    swaps=game.conditioned,
    mixes=game.mixes,
  )
  return losses.generate(
    game.generator,
    variables,
    _latents(game, for_z),
    game.batch.fake_c,
    draws,
    swap_probability=game.swap,
    mixing_probability=game.config.mixing_probability,
    resolution=game.resolution,
    shifts=shifts,
    axis_name=game.axis_name,
  )


def _view(
  game: _Game, images: losses.Images, probability: Array, rng: Array
) -> losses.Images:
  """Return images as the discriminator is shown them."""
  augment = None
  if game.config.augment is not None:
    augment = augment_lib.augmenter(
      _keys(game, rng), probability, game.config.augment
    )
  return losses.view(images, blur_sigma=game.blur, augment=augment)


def _judge(game: _Game, params: PyTree, images: losses.Images, c: Any) -> Array:
  """Return logits of images as they are shown."""
  return losses.judge(
    game.discriminator,
    {'params': params},
    images,
    c,
    axis_name=game.axis_name,
  )


def _anchor(game: _Game, params: PyTree, buffers: PyTree, rng: Array) -> Array:
  """Return the auto-decoder's loss of known scenes, their latents held."""
  known, config = game.batch.known, game.config
  if known is None or not config.anchor_weight:
    return jnp.zeros(())
  variables, _ = _variables(params, buffers)
  generator: Any = game.generator
  if game.resolution is None:
    image = autodecoder.draw(generator, variables, known.z)
    shown = known.views.image[:, 0]
    return autodecoder.pyramid_distance(image, shown, _ANCHOR.levels)
  keys = parallel.example_keys(rng, known.z.shape[0], game.axis_name)
  # Codes without spread, which the prior cannot move either.
  codes = autodecoder.Codes(known.z, jnp.full(known.z.shape[1:], -20.0))
  scene = jnp.arange(known.z.shape[0])
  value, _ = autodecoder.decoder_loss(
    generator,
    variables,
    codes,
    known.views._replace(scene=scene),
    keys,
    _ANCHOR,
    game.axis_name,
    c=known.views.camera[:, 0],
  )
  return value


def _train_generator(game: _Game, state: players.GANState, rng: Array):
  """Update the generator; returns its images, too."""
  for_images, for_augment = jax.random.split(rng)
  for_anchor = jax.random.fold_in(rng, 1)

  def loss(params):
    images, ws = _generate(game, params, state.buffers, for_images)
    shown = _view(game, images, state.controller.probability, for_augment)
    logits = _judge(game, state.discriminator.params, shown, game.batch.fake_c)
    value = losses.logistic(logits).mean()
    anchor = _anchor(game, params, state.buffers, for_anchor)
    total = value + game.config.anchor_weight * anchor
    return total, (images, ws, logits, value, anchor)

  compute = jax.grad(loss, has_aux=True)
  gradients, (images, ws, logits, value, anchor) = compute(
    state.generator.params
  )
  player = _update(game, state.generator, gradients, game.tx.generator)
  metrics = {'generator': value, 'logit_fake': logits.mean()}
  if game.config.anchor_weight:
    metrics['anchor'] = anchor
  return dataclasses.replace(state, generator=player), (images, ws), metrics


def _density(game: _Game, state: players.GANState, rng: Array, params: PyTree):
  """Return the density loss of EG3D."""
  variables, shifts = _variables(params, state.buffers)
  for_z, for_batch, for_draws = jax.random.split(rng, 3)
  value = losses.density_variation(
    game.generator,
    variables,
    _latents(game, for_z),
    game.batch.fake_c,
    draws_lib.draw_density(
      game.generator,
      for_batch,
      _keys(game, for_draws),
      points=game.config.density_points,
      swaps=game.conditioned,
      mixes=game.mixes,
    ),
    distance=game.config.density_distance,
    swap_probability=game.swap,
    mixing_probability=game.config.mixing_probability,
    shifts=shifts,
    axis_name=game.axis_name,
  )
  return value * game.config.density_weight, state.path_mean


def _path(game: _Game, state: players.GANState, rng: Array, params: PyTree):
  """Return the path length loss of StyleGAN2."""
  variables, _ = _variables(params, state.buffers)
  for_z, for_draws, for_direction = jax.random.split(rng, 3)
  count = max(game.size // game.config.path_shrink, 1)
  z, c = _latents(game, for_z)[:count], game.batch.fake_c
  draws = draws_lib.draw(
    game.generator, _keys(game, for_draws)[:count], mixes=game.mixes
  )
  ws = losses.map_mixed(
    game.generator,
    variables,
    z,
    None if c is None else c[:count],
    draws.mixing,
    game.config.mixing_probability,
  )
  shape = game.batch.image.shape[1:]
  directions = jax.vmap(lambda key: jax.random.normal(key, shape))(
    _keys(game, for_direction)[:count]
  )
  lengths = losses.path_lengths(
    game.generator, variables, ws, directions, draws.noise
  )
  value, mean = losses.path_penalty(
    lengths,
    state.path_mean,
    decay=game.config.path_decay,
    axis_name=game.axis_name,
  )
  return value * game.config.path_weight, mean


def _regularize_generator(game: _Game, state: players.GANState, rng: Array):
  """Update the generator by its lazy loss."""
  volumetric = eg3d.is_volumetric(game.generator)
  _, every = players.lazy(game.generator, game.config)

  def loss(params):
    part = _density if volumetric else _path
    value, path_mean = part(game, state, rng, params)
    return value * every, (value, path_mean)

  compute = jax.grad(loss, has_aux=True)
  gradients, (value, path_mean) = compute(state.generator.params)
  value = parallel.pmean(value, game.axis_name)
  player = _update(game, state.generator, gradients, game.tx.generator)
  return dataclasses.replace(
    state,
    generator=player,
    path_mean=path_mean,
    penalties={**state.penalties, 'generator': value},
  )


def _real(game: _Game) -> losses.Images:
  """Return the real images, the raw ones blurred like the final ones."""
  batch = game.batch
  if game.resolution is None:
    return losses.Images(batch.image)
  if batch.raw is None:
    return losses.real_images(
      batch.image, resolution=game.resolution, blur_sigma=game.blur
    )
  raw = batch.raw if game.blur is None else losses.blur(batch.raw, game.blur)
  return losses.Images(batch.image, raw)


def _train_discriminator(
  game: _Game, state: players.GANState, fakes: Any, rng: Array
):
  """Update the discriminator, the mean latent and the controller."""
  for_images, for_fake, for_real = jax.random.split(rng, 3)
  if fakes is None:
    fakes = _generate(game, state.generator.params, state.buffers, for_images)
  images, ws = jax.lax.stop_gradient(fakes)
  probability, batch = state.controller.probability, game.batch
  shown = _view(game, images, probability, for_fake)
  real_shown = _view(game, _real(game), probability, for_real)

  def loss(params):
    fake = _judge(game, params, shown, batch.fake_c)
    real = _judge(game, params, real_shown, batch.c)
    value = losses.logistic(-fake).mean() + losses.logistic(real).mean()
    return value, (real, fake)

  compute = jax.value_and_grad(loss, has_aux=True)
  (value, (real, fake)), gradients = compute(state.discriminator.params)
  player = _update(game, state.discriminator, gradients, game.tx.discriminator)
  signs = parallel.pmean(jnp.sign(real).mean(), game.axis_name)
  state = dataclasses.replace(
    state,
    discriminator=player,
    buffers=_move_mean_latent(game, state.buffers, ws),
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


def _move_mean_latent(game: _Game, buffers: PyTree, ws: Array) -> PyTree:
  """Return the generator's buffers with the mean latent moved."""
  mean = parallel.pmean(ws[:, 0].mean(0, keepdims=True), game.axis_name)

  def move(path, leaf):
    if path[-1].key != 'w_avg':
      return leaf
    return mapping.update_average(leaf, mean, game.config.w_decay)

  return jax.tree_util.tree_map_with_path(move, buffers)


def _regularize_discriminator(game: _Game, state: players.GANState, rng: Array):
  """Update the discriminator by R1."""
  config, images = game.config, _real(game)
  view = functools.partial(
    _view, game, probability=state.controller.probability, rng=rng
  )
  # The reference of EG3D takes the slope at the images that are shown.
  at_shown = eg3d.is_volumetric(game.generator)
  images = view(images) if at_shown else images

  def loss(params):
    def logits_of(images):
      shown = images if at_shown else view(images)
      return _judge(game, params, shown, game.batch.c)

    squares, _ = losses.r1_penalty(logits_of, images)
    value = squares.mean()
    return value * (config.r1_gamma / 2 * config.r1_every), value

  compute = jax.grad(loss, has_aux=True)
  gradients, value = compute(state.discriminator.params)
  value = parallel.pmean(value, game.axis_name)
  player = _update(game, state.discriminator, gradients, game.tx.discriminator)
  return dataclasses.replace(
    state, discriminator=player, penalties={**state.penalties, 'r1': value}
  )


def _average(game: _Game, state: players.GANState, images: int) -> PyTree:
  """Move the generator's average."""
  decay = schedules.ema_decay(
    state.step * images,
    images,
    kimg=game.config.average_kimg,
    rampup=game.config.average_rampup,
  )
  return jax.tree.map(
    lambda average, new: new + decay * (average - new),
    state.average,
    state.generator.params,
  )


def _adjust(
  game: _Game, state: players.GANState, images: int
) -> players.GANState:
  """Adapt the strength of augmentation."""
  config = game.config
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


def _resolution(generator: nn.Module, batch: players.GANBatch) -> int | None:
  """Return the side of the raw rendering; None in two dimensions."""
  if not eg3d.is_volumetric(generator):
    return None
  if batch.raw is not None:
    return batch.raw.shape[1]
  return generator.config.rendering_resolution


def _check(
  generator: nn.Module, config: players.GANConfig, batch: players.GANBatch
) -> None:
  """Refuse batches that the networks cannot take, in one line."""
  side = generator.config.output_side
  without = batch.c is None or batch.fake_c is None
  if eg3d.is_volumetric(generator) and without:
    raise ValueError('EG3D trains on cameras: give c and fake_c')
  if batch.image.shape[1:3] != (side, side):
    raise ValueError(
      f'the generator makes images of {side}x{side}, the batch has '
      f'{batch.image.shape[1]}x{batch.image.shape[2]}'
    )
  if config.anchor_weight and batch.known is None:
    raise ValueError('an anchor needs known scenes: give known')


def make_gan_step(
  generator: nn.Module,
  discriminator: nn.Module,
  config: players.GANConfig | None = None,
  *,
  tx: players.Optimizers | None = None,
  parts: players.Parts | None = None,
) -> Step:
  """Return the training step of two networks.

  Args:
    generator: `eg3d.EG3D` or `stylegan2.Generator`.
    discriminator: `discriminator.Discriminator`, of six channels for EG3D.
    config: of the training, None for the defaults.
    tx: optimisers, the same as in `players.create`; e.g. masked to freeze
      weights.
    parts: what this step does, see `players.due`; None for all of it.

  Returns:
    `step(state, rng, batch, axis_name=None) -> (state, metrics)`, pure, not
    yet jitted. `rng` is the step's own key, the same on all devices; `batch`
    is a `players.GANBatch`. Metrics are scalars: 'loss' (of both players),
    those of each player, mean logits and signs, the last lazy penalties, and
    the schedules' values.
  """
  config = config or players.GANConfig()
  tx = tx or players.optimizers(generator, config)
  weight, _ = players.lazy(generator, config)
  parts = parts or players.Parts()

  def step(state, rng, batch, *, axis_name=None):
    _check(generator, config, batch)
    devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    images = batch.image.shape[0] * devices
    seen = state.step * images
    blur = None
    if config.blur_sigma and config.blur_kimg:
      blur = schedules.blur_sigma(
        seen, start=config.blur_sigma, kimg=config.blur_kimg
      )
    swap = schedules.swap_probability(
      seen, end=config.swap_end or 0.0, kimg=config.swap_kimg
    )
    game = _Game(
      generator,
      discriminator,
      config,
      tx,
      axis_name,
      batch,
      _resolution(generator, batch),
      blur,
      swap,
    )
    rngs = jax.random.split(rng, 4)
    fakes, metrics = None, {}
    if parts.generator:
      state, fakes, metrics = _train_generator(game, state, rngs[0])
    if parts.variation and weight:
      state = _regularize_generator(game, state, rngs[1])
    state, more = _train_discriminator(
      game, state, fakes if config.reuse_fakes else None, rngs[2]
    )
    if parts.r1 and config.r1_gamma:
      state = _regularize_discriminator(game, state, rngs[3])
    metrics = parallel.pmean({**more, **metrics}, axis_name)
    metrics |= {
      'loss': metrics['generator'] + metrics['discriminator'],
      'r1': state.penalties['r1'],
      'density' if eg3d.is_volumetric(generator) else 'path': (
        state.penalties['generator']
      ),
      'augment': state.controller.probability,
      'swap': swap,
      'blur': jnp.zeros(()) if blur is None else blur,
    }
    state = dataclasses.replace(state, average=_average(game, state, images))
    state = _adjust(game, state, images)
    return dataclasses.replace(state, step=state.step + 1), metrics

  return step
