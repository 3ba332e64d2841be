"""Random numbers of a training step's passes, drawn beforehand.

A loss takes its randomness as draws, so that it can be repeated, compared,
and shared between devices: each sample draws from a key of its own.

Shapes: B samples, H W pixels, N copies of w, P points.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Int, Key

from maskjax.gan import eg3d as eg3d_lib, synthesis as synthesis_lib
from maskjax.render.volume import rays as rays_lib


class MixingDraws(NamedTuple):
  """Random numbers of style mixing.

  Attributes:
    z: second latents, standard normal.
    happens: uniform in [0, 1).
    cut: first copy of w that is the second latent's, from 1 to N - 1.
  """

  z: Float[Array, 'b z']
  happens: Float[Array, 'b']
  cut: Int[Array, 'b']


class Draws(NamedTuple):
  """Random numbers of one pass through a generator.

  Attributes:
    swap: uniform, for swapping cameras; None for a generator without, or for
      one that is conditioned on nothing.
    noise: of the synthesis, see `synthesis.draw_noise`; None for a generator
      without.
    uniforms: of volume rendering; None in two dimensions.
    mixing: of styles; None for none.
  """

  swap: Float[Array, 'b'] | None
  noise: Any
  uniforms: rays_lib.Uniforms | None
  mixing: MixingDraws | None = None


class DensityDraws(NamedTuple):
  """Random numbers of the density regularisation.

  Attributes:
    swap: one uniform number for the batch; None as in `Draws`.
    points: uniform in [0, 1).
    steps: standard normal.
    noise: see `Draws`.
    mixing: see `Draws`.
  """

  swap: Float[Array, ''] | None
  points: Float[Array, 'b p 3']
  steps: Float[Array, 'b p 3']
  noise: Any
  mixing: MixingDraws | None = None


def _backbone(generator: nn.Module) -> Any:
  """Return the config of the StyleGAN2 network of a generator."""
  config = generator.config
  return config.backbone if eg3d_lib.is_volumetric(generator) else config


def _draw_noise(generator: nn.Module, keys: Key[Array, 'b']) -> Any:
  """Draw the noise of a generator that has any."""
  backbone = _backbone(generator)
  if not backbone.use_noise:
    return None
  return synthesis_lib.draw_noise(keys, backbone.channels)


def _divide(keys: Key[Array, 'b'], count: int) -> tuple[Key[Array, 'b'], ...]:
  """Split the key of each sample."""
  return jax.vmap(lambda key: tuple(jax.random.split(key, count)))(keys)


def _draw_mixing(generator: nn.Module, keys: Key[Array, 'b']) -> MixingDraws:
  """Draw what style mixing needs."""
  backbone = _backbone(generator)
  for_z, for_chance, for_cut = _divide(keys, 3)
  cut = lambda key: jax.random.randint(key, (), 1, backbone.num_ws)
  return MixingDraws(
    jax.vmap(lambda key: jax.random.normal(key, (backbone.z_dim,)))(for_z),
    jax.vmap(jax.random.uniform)(for_chance),
    jax.vmap(cut)(for_cut),
  )


def draw(
  generator: nn.Module,
  keys: Key[Array, 'b'],
  *,
  resolution: int | None = None,
  swaps: bool = True,
  mixes: bool = False,
) -> Draws:
  """Draw the random numbers of one pass.

  Args:
    generator: network.
    keys: one for each sample.
    resolution: side of the raw rendering, None for the config's.
    swaps: whether cameras may be swapped.
    mixes: whether styles may be mixed.
  """
  for_swap, for_noise, for_rays, for_mixing = _divide(keys, 4)
  noise = _draw_noise(generator, for_noise)
  mixing = _draw_mixing(generator, for_mixing) if mixes else None
  if not eg3d_lib.is_volumetric(generator):
    return Draws(None, noise, None, mixing)
  config = generator.config
  side = resolution or config.rendering_resolution
  counts = side**2, config.volume.coarse, config.volume.fine
  uniforms = jax.vmap(lambda key: rays_lib.draw_uniforms(key, 1, *counts))(
    for_rays
  )
  return Draws(
    jax.vmap(jax.random.uniform)(for_swap) if swaps else None,
    noise,
    jax.tree.map(lambda x: x[:, 0], uniforms),
    mixing,
  )


def draw_density(
  generator: nn.Module,
  rng: Key[Array, ''],
  keys: Key[Array, 'b'],
  *,
  points: int = 1000,
  swaps: bool = True,
  mixes: bool = False,
) -> DensityDraws:
  """Draw the random numbers of the density regularisation.

  Args:
    generator: network.
    rng: of the whole batch.
    keys: one for each sample.
    points: of each scene.
    swaps: whether cameras may be swapped.
    mixes: whether styles may be mixed.
  """
  for_points, for_steps, for_noise, for_mixing = _divide(keys, 4)
  shape = (points, 3)
  return DensityDraws(
    jax.random.uniform(rng) if swaps else None,
    jax.vmap(lambda key: jax.random.uniform(key, shape))(for_points),
    jax.vmap(lambda key: jax.random.normal(key, shape))(for_steps),
    _draw_noise(generator, for_noise),
    _draw_mixing(generator, for_mixing) if mixes else None,
  )
