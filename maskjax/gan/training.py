"""The adversarial training step of StyleGAN2 and EG3D.

`make_gan_step` turns two networks and a `GANConfig` into one pure function
`step(state, rng, batch, axis_name=None) -> (state, metrics)`, to be jitted or
given to `training.parallel.data_parallel`. A step updates the generator, now
and then regularises it, updates the discriminator, now and then regularises
it, and moves the averages, in the reference's order. Lazy parts are branches
of one program, chosen on the device.

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

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
import optax

from maskjax.gan import augment as augment_lib
from maskjax.gan import losses, mapping, restore, schedules
from maskjax.training import parallel

PyTree = Any
Metrics = dict[str, Float[Array, '']]
Step = Callable[..., tuple['GANState', Metrics]]

_ZERO = functools.partial(jnp.zeros, (), jnp.float32)
# Largest entry that is left of a gradient that is not finite.
_LIMIT = 1e5


@dataclasses.dataclass(frozen=True)
class GANConfig:
  """Settings of a training; the defaults are EG3D's for FFHQ.

  Attributes:
    generator_rate: learning rate of the generator.
    discriminator_rate: learning rate of the discriminator.
    betas: of Adam.
    r1_gamma: weight of R1; 0 for none.
    r1_every: steps between two R1 updates.
    density_weight: of the density regularisation of EG3D; 0 for none.
    density_every: steps between two.
    density_distance: see `losses.density_variation`.
    density_points: points of each scene.
    path_weight: of the path length regularisation of StyleGAN2; 0 for none.
    path_every: steps between two.
    path_shrink: it sees the batch divided by this.
    path_decay: see `losses.path_penalty`.
    w_decay: part of the mean latent that a step keeps.
    average_kimg: half-life of the generator's average, thousands of images.
    average_rampup: see `schedules.ema_decay`.
    blur_sigma: blur of all final and of real raw images at first, pixels; 0
      for none.
    blur_kimg: thousands of images in which it goes to zero.
    swap_end: how often the mapping sees another camera at last; None to
      condition on nothing.
    swap_kimg: thousands of images in which it falls from always to `swap_end`.
    augment: changes to images that the discriminator sees, None for none.
    augment_probability: of each change at first.
    augment_target: see `augment.adjust`; None keeps the probability.
    augment_kimg: see `augment.adjust`.
    augment_every: steps between two adjustments.
    reuse_fakes: show the discriminator the images that the generator was
      updated with, rather than new ones: a forward pass less, a fifth of the
      step. Not what the reference does.
  """

  generator_rate: float = 0.0025
  discriminator_rate: float = 0.002
  betas: tuple[float, float] = (0.0, 0.99)
  r1_gamma: float = 1.0
  r1_every: int = 16
  density_weight: float = 0.25
  density_every: int = 4
  density_distance: float = 0.004
  density_points: int = 1000
  path_weight: float = 2.0
  path_every: int = 4
  path_shrink: int = 2
  path_decay: float = 0.01
  w_decay: float = 0.998
  average_kimg: float = 10.0
  average_rampup: float | None = 0.05
  blur_sigma: float = 10.0
  blur_kimg: float = 200.0
  swap_end: float | None = 0.5
  swap_kimg: float = 1000.0
  augment: augment_lib.AugmentConfig | None = None
  augment_probability: float = 0.0
  augment_target: float | None = 0.6
  augment_kimg: float = 500.0
  augment_every: int = 4
  reuse_fakes: bool = False

  def __post_init__(self):
    periods = ('r1_every', 'density_every', 'path_every', 'augment_every')
    for name in (*periods, 'path_shrink'):
      if getattr(self, name) < 1:
        raise ValueError(f'{name}={getattr(self, name)} is not at least 1')


class GANBatch(NamedTuple):
  """What a step sees of the data.

  Attributes:
    image: real images, [-1, 1].
    c: their cameras or conditions; None for none.
    fake_c: those of the generated images, drawn from the data too.
    raw: real images at the side of the raw rendering, made with
      `resize.resize`; None to make them here at the generator's own side.
  """

  image: Float[Array, 'b h w k']
  c: Float[Array, 'b c'] | None = None
  fake_c: Float[Array, 'b c'] | None = None
  raw: Float[Array, 'b s s k'] | None = None


@flax.struct.dataclass
class Player:
  """A network in training.

  Attributes:
    params: weights.
    opt_state: of its optimiser.
  """

  params: PyTree
  opt_state: optax.OptState


@flax.struct.dataclass
class GANState:
  """All that a step changes.

  Attributes:
    step: number of finished steps.
    generator: its `params` may hold 'shifts' beside the networks: offsets of
      styles (see `synthesis.shift`) that are trained like weights.
    discriminator: the other player.
    buffers: of the generator, with the mean latent.
    average: moving average of the generator's params; its buffers are
      `buffers`.
    path_mean: mean path length.
    controller: of augmentation.
    penalties: last values of the lazy losses, for metrics.
  """

  step: Int[Array, '']
  generator: Player
  discriminator: Player
  buffers: PyTree
  average: PyTree
  path_mean: Float[Array, '']
  controller: augment_lib.Controller
  penalties: dict[str, Float[Array, '']]


class Optimizers(NamedTuple):
  """Transformations of gradients into updates."""

  generator: optax.GradientTransformation
  discriminator: optax.GradientTransformation


def _adam(rate: float, config: GANConfig, every: int | None):
  """Return Adam for a network that an extra update every so often slows."""
  ratio = 1.0 if every is None else every / (every + 1)
  first, second = config.betas
  return optax.adam(
    rate * ratio, b1=first**ratio if first else 0.0, b2=second**ratio
  )


def _lazy(generator: nn.Module, config: GANConfig) -> tuple[float, int]:
  """Return weight and period of the generator's regularisation."""
  if losses.is_volumetric(generator):
    return config.density_weight, config.density_every
  return config.path_weight, config.path_every


def optimizers(generator: nn.Module, config: GANConfig) -> Optimizers:
  """Return the optimisers of the reference.

  Learning rates and decays are lowered by k / (k + 1) for a network that has
  an extra update every k steps (Karras et al. 2020, appendix B).

  Args:
    generator: network.
    config: of the training.
  """
  weight, every = _lazy(generator, config)
  return Optimizers(
    _adam(config.generator_rate, config, every if weight else None),
    _adam(
      config.discriminator_rate,
      config,
      config.r1_every if config.r1_gamma else None,
    ),
  )


def create(
  generator: restore.Model,
  discriminator: restore.Model,
  config: GANConfig,
  *,
  tx: Optimizers | None = None,
) -> GANState:
  """Return the state at the start of a training.

  Args:
    generator: network with its first variables, random or restored.
    discriminator: the same.
    config: of the training.
    tx: optimisers, None for those of `optimizers`.
  """
  tx = tx or optimizers(generator.module, config)
  copy = lambda tree: jax.tree.map(lambda x: jnp.array(x, copy=True), tree)  # noqa: E731
  params = copy(generator.variables['params'])
  judge = copy(discriminator.variables['params'])
  return GANState(
    step=jnp.zeros((), jnp.int32),
    generator=Player(params, tx.generator.init(params)),
    discriminator=Player(judge, tx.discriminator.init(judge)),
    buffers=copy(generator.variables.get('buffers', {})),
    average=copy(params),
    path_mean=_ZERO(),
    controller=augment_lib.start(config.augment_probability),
    penalties={'r1': _ZERO(), 'generator': _ZERO()},
  )


def initialize(rng: Key[Array, ''], config: Any) -> restore.Model:
  """Return a network of a config with random weights.

  Args:
    rng: key.
    config: see `restore.build`.
  """
  module = restore.build(config)
  inputs = restore.inputs(config)
  options = None
  if jax.default_backend() == 'cpu':
    # Hundreds of small draws that run once, not worth an optimised program.
    options = {'xla_backend_optimization_level': 0}
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), inputs)
  init = jax.jit(module.init, compiler_options=options)
  return restore.Model(module, init(rng, *zeros))


def average_model(generator: nn.Module, state: GANState) -> restore.Model:
  """Return the averaged generator, for pictures and checkpoints."""
  params = {k: v for k, v in state.average.items() if k != 'shifts'}
  variables = {'params': params, 'buffers': state.buffers}
  return restore.Model(generator, variables)


class _Game(NamedTuple):
  """What the phases of a step share."""

  generator: nn.Module
  discriminator: nn.Module
  config: GANConfig
  tx: Optimizers
  axis_name: str | None
  batch: GANBatch
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


def _variables(params: PyTree, buffers: PyTree) -> tuple[PyTree, PyTree]:
  """Split trained parameters into a network's variables and style shifts."""
  own = {name: value for name, value in params.items() if name != 'shifts'}
  return {'params': own, 'buffers': buffers}, params.get('shifts')


def _update(game: _Game, player: Player, gradients: PyTree, tx: Any) -> Player:
  """Take a step along gradients, averaged over devices and made finite."""
  gradients = parallel.pmean(gradients, game.axis_name)
  gradients = jax.tree.map(
    lambda x: jnp.nan_to_num(x, nan=0.0, posinf=_LIMIT, neginf=-_LIMIT),
    gradients,
  )
  updates, opt_state = tx.update(gradients, player.opt_state, player.params)
  return Player(optax.apply_updates(player.params, updates), opt_state)


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
  draws = losses.draw(
    game.generator,
    _keys(game, for_draws),
    resolution=game.resolution,
    swaps=game.conditioned,
  )
  return losses.generate(
    game.generator,
    variables,
    _latents(game, for_z),
    game.batch.fake_c,
    draws,
    swap_probability=game.swap,
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


def _train_generator(game: _Game, state: GANState, rng: Array):
  """Update the generator; returns its images, too."""
  for_images, for_augment = jax.random.split(rng)

  def loss(params):
    images, ws = _generate(game, params, state.buffers, for_images)
    shown = _view(game, images, state.controller.probability, for_augment)
    logits = _judge(game, state.discriminator.params, shown, game.batch.fake_c)
    return losses.logistic(logits).mean(), (images, ws, logits)

  compute = jax.value_and_grad(loss, has_aux=True)
  (value, (images, ws, logits)), gradients = compute(state.generator.params)
  player = _update(game, state.generator, gradients, game.tx.generator)
  metrics = {'generator': value, 'logit_fake': logits.mean()}
  return dataclasses.replace(state, generator=player), (images, ws), metrics


def _density(game: _Game, state: GANState, rng: Array, params: PyTree):
  """Return the density loss of EG3D."""
  variables, shifts = _variables(params, state.buffers)
  for_z, for_batch, for_draws = jax.random.split(rng, 3)
  value = losses.density_variation(
    game.generator,
    variables,
    _latents(game, for_z),
    game.batch.fake_c,
    losses.draw_density(
      game.generator,
      for_batch,
      _keys(game, for_draws),
      points=game.config.density_points,
      swaps=game.conditioned,
    ),
    distance=game.config.density_distance,
    swap_probability=game.swap,
    shifts=shifts,
    axis_name=game.axis_name,
  )
  return value * game.config.density_weight, state.path_mean


def _path(game: _Game, state: GANState, rng: Array, params: PyTree):
  """Return the path length loss of StyleGAN2."""
  variables, _ = _variables(params, state.buffers)
  for_z, for_draws, for_direction = jax.random.split(rng, 3)
  count = max(game.size // game.config.path_shrink, 1)
  z, c = _latents(game, for_z)[:count], game.batch.fake_c
  draws = losses.draw(game.generator, _keys(game, for_draws)[:count])
  ws = game.generator.apply(
    variables, z, None if c is None else c[:count], method='map'
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


def _regularize_generator(game: _Game, state: GANState, rng: Array):
  """Update the generator by its lazy loss."""
  volumetric = losses.is_volumetric(game.generator)
  _, every = _lazy(game.generator, game.config)

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


def _train_discriminator(game: _Game, state: GANState, fakes: Any, rng: Array):
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


def _regularize_discriminator(game: _Game, state: GANState, rng: Array):
  """Update the discriminator by R1."""
  config, images = game.config, _real(game)
  view = functools.partial(
    _view, game, probability=state.controller.probability, rng=rng
  )
  # The reference of EG3D takes the slope at the images that are shown.
  at_shown = losses.is_volumetric(game.generator)
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


def _average(game: _Game, state: GANState, images: int) -> PyTree:
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


def _adjust(game: _Game, state: GANState, images: int) -> GANState:
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


def _resolution(generator: nn.Module, batch: GANBatch) -> int | None:
  """Return the side of the raw rendering; None in two dimensions."""
  if not losses.is_volumetric(generator):
    return None
  if batch.raw is not None:
    return batch.raw.shape[1]
  return generator.config.rendering_resolution


def _check(generator: nn.Module, batch: GANBatch) -> None:
  """Refuse batches that the networks cannot take, in one line."""
  config = generator.config
  if losses.is_volumetric(generator):
    side = config.superresolution.output_side
    if batch.c is None or batch.fake_c is None:
      raise ValueError('EG3D trains on cameras: give c and fake_c')
  else:
    side = config.resolution
  if batch.image.shape[1:3] != (side, side):
    raise ValueError(
      f'the generator makes images of {side}x{side}, the batch has '
      f'{batch.image.shape[1]}x{batch.image.shape[2]}'
    )


def make_gan_step(
  generator: nn.Module,
  discriminator: nn.Module,
  config: GANConfig = GANConfig(),
  *,
  tx: Optimizers | None = None,
) -> Step:
  """Return the training step of two networks.

  Args:
    generator: `eg3d.EG3D` or `stylegan2.Generator`.
    discriminator: `discriminator.Discriminator`, of six channels for EG3D.
    config: of the training.
    tx: optimisers, the same as in `create`; e.g. masked to freeze weights.

  Returns:
    `step(state, rng, batch, axis_name=None) -> (state, metrics)`, pure, not
    yet jitted. `rng` is the step's own key, the same on all devices; `batch`
    is a `GANBatch`. Metrics are scalars: 'loss' (of both players), those of
    each player, mean logits and signs, the last lazy penalties, and the
    schedules' values.
  """
  tx = tx or optimizers(generator, config)
  weight, every = _lazy(generator, config)

  def step(state, rng, batch, *, axis_name=None):
    _check(generator, batch)
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
    state, fakes, metrics = _train_generator(game, state, rngs[0])
    if weight:
      state = jax.lax.cond(
        state.step % every == 0,
        lambda state: _regularize_generator(game, state, rngs[1]),
        lambda state: state,
        state,
      )
    state, more = _train_discriminator(
      game, state, fakes if config.reuse_fakes else None, rngs[2]
    )
    if config.r1_gamma:
      state = jax.lax.cond(
        state.step % config.r1_every == 0,
        lambda state: _regularize_discriminator(game, state, rngs[3]),
        lambda state: state,
        state,
      )
    metrics = parallel.pmean({**metrics, **more}, axis_name)
    metrics |= {
      'loss': metrics['generator'] + metrics['discriminator'],
      'r1': state.penalties['r1'],
      'density' if losses.is_volumetric(generator) else 'path': (
        state.penalties['generator']
      ),
      'augment': state.controller.probability,
      'swap': swap,
      'blur': _ZERO() if blur is None else blur,
    }
    state = dataclasses.replace(state, average=_average(game, state, images))
    state = _adjust(game, state, images)
    return dataclasses.replace(state, step=state.step + 1), metrics

  return step
