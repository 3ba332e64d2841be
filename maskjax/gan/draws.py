"""Random numbers of a training step's passes, drawn beforehand.

A loss takes its randomness as draws, so that it can be repeated, compared,
and shared between devices: each sample draws from a key of its own.

Generators of scenes are rendered from cameras, generators of images are not.

Shapes: B samples, H W pixels, N copies of w, Z size of z, P points.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
import numpy as np

from maskjax.gan import eg3d, stylegan2, synthesis as synthesis_lib
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
  noise: synthesis_lib.NoiseImages | None
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
  noise: synthesis_lib.NoiseImages | None
  mixing: MixingDraws | None = None


def of_seeds(seeds: Sequence[int], size: int) -> Float[Array, 'n z']:
  """Return the latents that seeds stand for, the same in every tool.

  Args:
    seeds: whole numbers.
    size: of a latent.
  """
  z = [np.random.RandomState(seed).standard_normal(size) for seed in seeds]
  return jnp.asarray(np.stack(z), jnp.float32)


def _draw_noise(
  backbone: stylegan2.StyleGAN2Config, keys: Key[Array, 'b']
) -> synthesis_lib.NoiseImages | None:
  """Draw the noise of a generator that has any."""
  if not backbone.use_noise:
    return None
  return synthesis_lib.draw_noise(keys, backbone.channels)


def _divide(keys: Key[Array, 'b'], count: int) -> tuple[Key[Array, 'b'], ...]:
  """Split the key of each sample."""
  return jax.vmap(lambda key: tuple(jax.random.split(key, count)))(keys)


def _draw_mixing(
  backbone: stylegan2.StyleGAN2Config, keys: Key[Array, 'b']
) -> MixingDraws:
  """Draw what style mixing needs."""
  for_z, for_chance, for_cut = _divide(keys, 3)
  cut = lambda key: jax.random.randint(key, (), 1, backbone.num_ws)
  return MixingDraws(
    z=jax.vmap(lambda key: jax.random.normal(key, (backbone.z_dim,)))(for_z),
    happens=jax.vmap(jax.random.uniform)(for_chance),
    cut=jax.vmap(cut)(for_cut),
  )


def for_images(
  generator: stylegan2.Generator,
  keys: Key[Array, 'b'],
  *,
  resolution: int | None = None,
  swaps: bool = False,
  mixes: bool = False,
) -> Draws:
  """Draw the random numbers of one pass in two dimensions.

  Args:
    generator: network.
    keys: one for each sample.
    resolution: there is no raw rendering that it could be of.
    swaps: there are no cameras that could be swapped.
    mixes: whether styles may be mixed.
  """
  del resolution, swaps
  _, for_noise, _, for_mixing = _divide(keys, 4)
  backbone = generator.config
  return Draws(
    swap=None,
    noise=_draw_noise(backbone, for_noise),
    uniforms=None,
    mixing=_draw_mixing(backbone, for_mixing) if mixes else None,
  )


def for_scenes(
  generator: eg3d.EG3D,
  keys: Key[Array, 'b'],
  *,
  resolution: int | None = None,
  swaps: bool = True,
  mixes: bool = False,
) -> Draws:
  """Draw the random numbers of one pass with its rendering.

  Args:
    generator: network.
    keys: one for each sample.
    resolution: side of the raw rendering in pixels, None for the config's.
    swaps: whether cameras may be swapped.
    mixes: whether styles may be mixed.
  """
  for_swap, for_noise, for_rays, for_mixing = _divide(keys, 4)
  config = generator.config
  side = resolution or config.rendering_resolution
  counts = side**2, config.volume.coarse, config.volume.fine
  uniforms = jax.vmap(lambda key: rays_lib.draw_uniforms(key, 1, *counts))(
    for_rays
  )
  return Draws(
    swap=jax.vmap(jax.random.uniform)(for_swap) if swaps else None,
    noise=_draw_noise(config.backbone, for_noise),
    uniforms=jax.tree.map(lambda x: x[:, 0], uniforms),
    mixing=_draw_mixing(config.backbone, for_mixing) if mixes else None,
  )


def for_density(
  generator: eg3d.EG3D,
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
    rng: key of the whole batch, for the one draw that its samples share.
    keys: one for each sample.
    points: how many in each scene.
    swaps: whether cameras may be swapped.
    mixes: whether styles may be mixed.
  """
  for_points, for_steps, for_noise, for_mixing = _divide(keys, 4)
  shape, backbone = (points, 3), generator.config.backbone
  return DensityDraws(
    swap=jax.random.uniform(rng) if swaps else None,
    points=jax.vmap(lambda key: jax.random.uniform(key, shape))(for_points),
    steps=jax.vmap(lambda key: jax.random.normal(key, shape))(for_steps),
    noise=_draw_noise(backbone, for_noise),
    mixing=_draw_mixing(backbone, for_mixing) if mixes else None,
  )
