"""Losses of StyleGAN2 and EG3D, one function for each, all of them pure.

Randomness comes in as draws (see `draws`), so that a loss can be repeated,
compared, and shared between devices.

Generators are `eg3d.EG3D` or `stylegan2.Generator`; a loss asks which only to
know whether there is a camera and a raw rendering.

Shapes: B samples, H W pixels, S side of the raw rendering, N copies of w, P
points. Follows Goodfellow et al., "GANs", 2014 (non-saturating loss),
Mescheder et al., "Which Training Methods for GANs do actually Converge?",
ICML 2018 (R1), Karras et al. 2020, section 3.2 and appendix B (path length,
lazy regularisation), and Chan et al., CVPR 2022, sections 4.3, 4.4 and
supplement (dual discrimination, camera swapping, density regularisation).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from maskjax.gan import (
  discriminator as discriminator_lib,
  draws as draws_lib,
  eg3d as eg3d_lib,
  mapping as mapping_lib,
  model as model_lib,
  resize,
  synthesis as synthesis_lib,
)
from maskjax.training import parallel

PyTree = Any
Augment = Callable[[Float[Array, 'b h w k']], Float[Array, 'b h w k']]


class Images(NamedTuple):
  """What a discriminator judges.

  Attributes:
    image: final images, about [-1, 1].
    raw: raw renderings; None in two dimensions.
  """

  image: Float[Array, 'b h w k']
  raw: Float[Array, 'b s s k'] | None = None


def _before(
  c: Float[Array, 'b c'], axis_name: str | None
) -> Float[Array, 'b c']:
  """Return the condition of the sample before, over all devices."""
  return parallel.share(
    jnp.roll(parallel.gather(c, axis_name), 1, 0), axis_name
  )


def _condition(
  c: Float[Array, 'b c'],
  swap: Float[Array, 'b'] | Float[Array, ''] | None,
  probability: float | Float[Array, ''],
  axis_name: str | None,
) -> Float[Array, 'b c']:
  """Return the cameras that the mapping sees."""
  if swap is None:
    return jnp.zeros_like(c)
  swapped: Bool[Array, '...'] = swap < probability
  swapped = jnp.broadcast_to(swapped, c.shape[:1])[:, None]
  return jnp.where(swapped, _before(c, axis_name), c)


def map_mixed(
  generator: nn.Module,
  variables: PyTree,
  z: Float[Array, 'b z'],
  c: Float[Array, 'b c'] | None,
  draws: draws_lib.MixingDraws | None,
  probability: float,
) -> Float[Array, 'b n w']:
  """Map latents, and mix the styles of some with those of second ones.

  The first copy of w is always that of `z`. The reference draws one cut for
  a whole batch; here each sample has its own.

  Args:
    generator: network.
    variables: its weights and buffers.
    z: latents.
    c: conditions that the mapping sees.
    draws: of mixing; None for none.
    probability: of mixing.

  Returns:
    Copies of w, see `mapping.mix`.
  """
  ws = model_lib.run(variables, generator.map, z, c)
  if draws is None:
    return ws
  others = model_lib.run(variables, generator.map, draws.z, c)
  whole = ws.shape[1]
  cut = jnp.where(draws.happens < probability, draws.cut, whole)
  return mapping_lib.mix(ws, others, cut)


def generate(
  generator: nn.Module,
  variables: PyTree,
  z: Float[Array, 'b z'],
  c: Float[Array, 'b c'] | None,
  draws: draws_lib.Draws,
  *,
  swap_probability: float | Float[Array, ''] = 0.0,
  mixing_probability: float = 0.0,
  resolution: int | None = None,
  shifts: synthesis_lib.Styles | None = None,
  axis_name: str | None = None,
) -> tuple[Images, Float[Array, 'b n w']]:
  """Make images as in training.

  Args:
    generator: network.
    variables: its weights and buffers.
    z: latents.
    c: cameras to render from, or conditions in two dimensions.
    draws: random numbers.
    swap_probability: of conditioning on the camera of the sample before.
    mixing_probability: of mixing styles, where there are draws for it.
    resolution: side of the raw rendering, None for the config's.
    shifts: of styles, see `synthesis.shift`.
    axis_name: of the devices that share the batch.

  Returns:
    Images and the latents w they were made of, without truncation.
  """
  noise = 'none' if draws.noise is None else draws.noise
  options = {'shifts': shifts, 'noise': noise}
  mixing = draws.mixing, mixing_probability
  if not eg3d_lib.is_volumetric(generator):
    ws = map_mixed(generator, variables, z, c, *mixing)
    made = model_lib.run(variables, generator.synthesize, ws, **options)
    return Images(made.image), ws
  seen = _condition(c, draws.swap, swap_probability, axis_name)
  ws = map_mixed(generator, variables, z, seen, *mixing)
  picture = model_lib.run(
    variables,
    generator.synthesize,
    ws,
    c,
    draws.uniforms,
    resolution=resolution,
    **options,
  )
  return Images(picture.image, picture.image_raw), ws


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
) -> Images:
  """Give real images a raw one, as a generator's have.

  Args:
    image: real images, [-1, 1].
    resolution: side of the raw ones, None for none.
    blur_sigma: of the raw ones, None for no blur.
  """
  if resolution is None:
    return Images(image)
  raw = resize.resize(image, resolution)
  return Images(image, raw if blur_sigma is None else blur(raw, blur_sigma))


def view(
  images: Images,
  *,
  blur_sigma: float | Float[Array, ''] | None = None,
  augment: Augment | None = None,
) -> Images:
  """Return images as the discriminator is shown them.

  Args:
    images: to judge.
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
  return Images(image, raw)


def judge(
  discriminator: nn.Module,
  variables: PyTree,
  images: Images,
  c: Float[Array, 'b c'] | None,
  *,
  axis_name: str | None = None,
) -> Float[Array, 'b 1']:
  """Judge images as they are shown, see `view`.

  Args:
    discriminator: network.
    variables: its weights.
    images: to judge.
    c: conditions.
    axis_name: of the devices that share the batch.

  Returns:
    Logits.
  """
  image, raw = images
  if raw is not None:
    image = discriminator_lib.pair_images(image, raw)
  return discriminator.apply(variables, image, c, axis_name=axis_name)


def logistic(logits: Float[Array, '...']) -> Float[Array, '...']:
  """Return softplus(-logit): small where images pass for real."""
  return jax.nn.softplus(-logits)


def r1_penalty(
  logits_of: Callable[[Images], Float[Array, 'b 1']], images: Images
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
  generator: nn.Module,
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
  generator: nn.Module,
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
    swap_probability: see `generate`; one draw for the whole batch.
    mixing_probability: see `generate`.
    shifts: of styles.
    axis_name: of the devices that share the batch.

  Returns:
    Mean absolute difference of raw densities.
  """
  seen = _condition(c, draws.swap, swap_probability, axis_name)
  mixing = draws.mixing, mixing_probability
  ws = map_mixed(generator, variables, z, seen, *mixing)
  styles = model_lib.run(variables, generator.styles, ws)
  styles = synthesis_lib.shift(styles, shifts)
  noise = 'none' if draws.noise is None else draws.noise
  planes = model_lib.run(variables, generator.planes, styles, noise=noise)
  points = draws.points * 2 - 1
  steps = draws.steps * distance
  return roughness(generator, variables, planes, points, steps)


def path_lengths(
  generator: nn.Module,
  variables: PyTree,
  ws: Float[Array, 'b n w'],
  directions: Float[Array, 'b h w k'],
  noise: Any,
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
