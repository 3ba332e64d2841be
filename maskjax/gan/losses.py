"""Losses of StyleGAN2 and EG3D, one function for each, all of them pure.

Randomness comes in as draws (see `draws`), so that a loss can be repeated,
compared, and shared between devices. Images come from `fakes` or from the
data.

Shapes: B samples, H W pixels, K channels, S side of the raw rendering, N
copies of w, R side of a plane, P points. Follows Goodfellow et al., "GANs",
2014 (non-saturating loss), Mescheder et al., "Which Training Methods for GANs
do actually Converge?", ICML 2018 (R1), Karras et al. 2020, section 3.2 and
appendix B (path length, lazy regularisation), and Chan et al., CVPR 2022,
sections 4.3, 4.4 and supplement (dual discrimination, camera swapping,
density regularisation).
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.gan import (
  discriminator as discriminator_lib,
  draws as draws_lib,
  eg3d,
  fakes,
  model as model_lib,
  resize,
  stylegan2,
  synthesis as synthesis_lib,
)
from maskjax.training import parallel

PyTree = Any
Augment = Callable[[Float[Array, 'b h w k']], Float[Array, 'b h w k']]


def blur(
  images: Float[Array, 'b h w k'],
  sigma: float | Float[Array, ''],
  *,
  largest: float = 10.0,
) -> Float[Array, 'b h w k']:
  """Blur by 2^-(x / sigma)^2, cut at 3 sigma, with zeros around.

  The kernel's size follows sigma, which is known on the device only: the blur
  is a product with a banded matrix along each axis.

  Args:
    images: to blur.
    sigma: in pixels; below 1/3 the images stay as they are.
    largest: upper bound of sigma.
  """

  def matrix(size: int) -> Array:
    offsets = jnp.arange(size)[:, None] - jnp.arange(size)[None]
    return weigh(jnp.abs(offsets)) / weigh(jnp.abs(taps)).sum()

  def weigh(distance: Array) -> Array:
    value = jnp.exp2(-jnp.square(distance / jnp.maximum(sigma, 1e-3)))
    return jnp.where(distance <= jnp.floor(3 * sigma), value, 0.0)

  reach = int(3 * largest)
  taps = jnp.arange(-reach, reach + 1)
  exact = jax.lax.Precision.HIGHEST
  rows, columns = matrix(images.shape[1]), matrix(images.shape[2])
  images = jnp.einsum('ih,bhwk->biwk', rows, images, precision=exact)
  return jnp.einsum('jw,bhwk->bhjk', columns, images, precision=exact)


def real_images(
  image: Float[Array, 'b h w k'],
  *,
  resolution: int | None,
  blur_sigma: float | Float[Array, ''] | None = None,
) -> fakes.Images:
  """Give real images a raw one, as a generator's have.

  Args:
    image: real images, [-1, 1].
    resolution: side of the raw ones, None for none.
    blur_sigma: of the raw ones, None for no blur.
  """
  if resolution is None:
    return fakes.Images(image)
  raw = resize.resize(image, resolution)
  return fakes.Images(
    image, raw if blur_sigma is None else blur(raw, blur_sigma)
  )


def view(
  images: fakes.Images,
  *,
  blur_sigma: float | Float[Array, ''] | None = None,
  augment: Augment | None = None,
) -> fakes.Images:
  """Return images as the discriminator is shown them.

  Args:
    images: real or generated ones.
    blur_sigma: of the final images, None for no blur.
    augment: of images; a final image and its raw one are augmented alike, as
      six channels.
  """
  image, raw = images
  if blur_sigma is not None:
    image = blur(image, blur_sigma)
  if augment is not None and raw is None:
    image = augment(image)
  elif augment is not None and raw is not None:
    side = raw.shape[1]
    pair = augment(discriminator_lib.pair_images(image, raw))
    image, raw = pair[..., :3], resize.resize(pair[..., 3:], side)
  return fakes.Images(image, raw)


def discriminate(
  discriminator: nn.Module,
  variables: PyTree,
  images: fakes.Images,
  c: Float[Array, 'b c'] | None,
  *,
  axis_name: str | None = None,
) -> Float[Array, 'b 1']:
  """Tell real images from generated ones, as they are shown, see `view`.

  Args:
    discriminator: network.
    variables: its weights.
    images: real or generated ones.
    c: conditions.
    axis_name: of the devices that share the batch.

  Returns:
    Logits, positive for real.
  """
  image, raw = images
  if raw is not None:
    image = discriminator_lib.pair_images(image, raw)
  return discriminator.apply(variables, image, c, axis_name=axis_name)


def logistic(logits: Float[Array, '...']) -> Float[Array, '...']:
  """Return softplus(-logit): small where images pass for real."""
  return jax.nn.softplus(-logits)


def r1_penalty(
  logits_of: Callable[[fakes.Images], Float[Array, 'b 1']], images: fakes.Images
) -> tuple[Float[Array, 'b'], Float[Array, 'b 1']]:
  """Return how steep a discriminator is at images.

  Args:
    logits_of: the discriminator.
    images: real images. EG3D takes the slope at the images that are shown,
      blurred and augmented; StyleGAN2-ADA at the images of the data, where
      `logits_of` begins with `view`.

  Returns:
    Squared norms of the gradients to image and raw image, added, and the
    logits. The loss is half of the norm, times gamma.
  """

  def total(images):
    logits = logits_of(images)
    return logits.sum(), logits

  slopes, logits = jax.grad(total, has_aux=True)(images)
  squares = (jnp.square(x).sum((1, 2, 3)) for x in jax.tree.leaves(slopes))
  return sum(squares), logits


def roughness(
  generator: eg3d.EG3D,
  variables: PyTree,
  planes: Float[Array, 'b 3 r r c'],
  points: Float[Array, 'b n 3'],
  steps: Float[Array, 'b n 3'],
) -> Float[Array, '']:
  """Return the mean absolute difference of raw densities a step apart.

  Args:
    generator: EG3D.
    variables: its weights and buffers.
    planes: of each scene.
    points: where to look, units.
    steps: from each point to its neighbour, units.
  """
  both = jnp.concatenate([points, points + steps], 1)
  densities, _ = model_lib.run(variables, generator.field, planes, both)
  here, there = jnp.split(densities, 2, 1)
  return jnp.abs(here - there).mean()


def density_variation(
  generator: eg3d.EG3D,
  variables: PyTree,
  z: Float[Array, 'b z'],
  c: Float[Array, 'b 25'],
  draws: draws_lib.DensityDraws,
  *,
  distance: float = 0.004,
  swap_probability: float | Float[Array, ''] = 0.0,
  mixing_probability: float = 0.0,
  shifts: synthesis_lib.Styles | None = None,
  axis_name: str | None = None,
) -> Float[Array, '']:
  """Return how much densities differ between points a small step apart.

  Points are uniform in [-1, 1]^3, whatever the size of the scene: as in the
  reference, most of them lie outside of it, where the planes are zero.

  Args:
    generator: EG3D.
    variables: its weights and buffers.
    z: latents.
    c: cameras.
    draws: random numbers.
    distance: deviation of the step.
    swap_probability: see `fakes.of_scenes`; one draw for the whole batch.
    mixing_probability: see `fakes.of_scenes`.
    shifts: of styles.
    axis_name: of the devices that share the batch.

  Returns:
    Mean absolute difference of raw densities.
  """
  seen = fakes.condition(c, draws.swap, swap_probability, axis_name)
  ws = fakes.map_mixed(
    generator, variables, z, seen, draws.mixing, mixing_probability
  )
  styles = model_lib.run(variables, generator.styles, ws)
  styles = synthesis_lib.shift(styles, shifts)
  noise = 'none' if draws.noise is None else draws.noise
  planes = model_lib.run(variables, generator.planes, styles, noise=noise)
  points = draws.points * 2 - 1
  steps = draws.steps * distance
  return roughness(generator, variables, planes, points, steps)


def path_lengths(
  generator: stylegan2.Generator,
  variables: PyTree,
  ws: Float[Array, 'b n d'],
  directions: Float[Array, 'b h w k'],
  noise: synthesis_lib.NoiseImages | None,
) -> Float[Array, 'b']:
  """Return how far images move with w, along random directions.

  Args:
    generator: StyleGAN2.
    variables: its weights and buffers.
    ws: latents.
    directions: standard normal, like images.
    noise: of the synthesis, None for none.

  Returns:
    Norms of J^T y with y = directions / sqrt(H W) (equation 4 of Karras et
    al. 2020), averaged over the copies of w.
  """
  scale = (directions.shape[1] * directions.shape[2]) ** -0.5

  def moved(ws):
    made = model_lib.run(
      variables,
      generator.synthesize,
      ws,
      noise='none' if noise is None else noise,
    )
    return (made.image * (directions * scale)).sum()

  return jnp.sqrt(jnp.square(jax.grad(moved)(ws)).sum(2).mean(1))


def path_penalty(
  lengths: Float[Array, 'b'],
  mean: Float[Array, ''],
  *,
  decay: float = 0.01,
  axis_name: str | None = None,
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """Return how much path lengths differ from their long-term mean.

  Args:
    lengths: of `path_lengths`.
    mean: of earlier steps.
    decay: part of the new mean that this batch makes up.
    axis_name: of the devices that share the batch.

  Returns:
    The mean square difference from the new mean, and the new mean.
  """
  new = mean + decay * (parallel.pmean(lengths.mean(), axis_name) - mean)
  return jnp.square(lengths - new).mean(), jax.lax.stop_gradient(new)
