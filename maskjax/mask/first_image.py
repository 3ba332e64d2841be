"""The first image: a picture of the prompt in the shape of the mask.

The start shape, seen from the front, gives a 2D mask (an oval, or a face with
holes for eyes and mouth); the diffusion model, conditioned on that mask,
paints the prompt into it (patent [0101], [0112], Fig. 7, claim 18).
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
import ml_collections

from maskjax.data import prior_batches
from maskjax.diffusion import model as model_lib
from maskjax.diffusion import sampling
from maskjax.geometry import color
from maskjax.geometry import template as template_lib
from maskjax.mask import views
from maskjax.render import renderer


class FirstImage(NamedTuple):
  """The picture that the mask is painted with."""

  image: Float[Array, 's s 3']  # sRGB in [0, 1]
  mask: Float[Array, 's s 1']  # coverage of the start shape from the front


def front_mask(
  template: template_lib.Template, size: int
) -> Float[Array, 's s 1']:
  """Return the silhouette of a start shape from the front, holes included."""
  cameras, lights = views.fixed((0.0,))
  mesh = template.mesh
  return renderer.render(
    mesh.vertices,
    mesh.faces,
    jnp.ones_like(mesh.vertices),
    cameras,
    lights,
    size=size,
    sigma=1e-8,
    samples=4,
  ).alpha[0]


def _sample(model, rng, text, negative, condition, scale, options):
  """Sample one picture in [-1, 1]; `options` are the static fields."""
  steps, sampler, guidance_scale, guidance_rescale = options

  def denoise(x_t, t):
    return model_lib.predict_guided(
      model,
      x_t,
      t,
      text[None],
      negative[None],
      guidance_scale=guidance_scale,
      guidance_rescale=guidance_rescale,
      condition=condition,
      conditioning_scale=scale,
    )

  block = model.pixel_unshuffle
  side = model.sample_size // block
  z = sampling.sample(
    denoise,
    model.schedule,
    rng,
    shape=(1, side, side, 3 * block**2),
    steps=steps,
    method=sampler,
  )
  return model_lib.decode_images(model, z)[0]


_sample_jit = jax.jit(_sample, static_argnames=('options',))


def generate(
  rng: PRNGKeyArray,
  model: model_lib.DiffusionModel,
  template: template_lib.Template,
  text: Float[Array, 't d'],
  negative: Float[Array, 't d'],
  config: ml_collections.ConfigDict,
) -> FirstImage:
  """Sample the first image.

  Args:
    rng: typed key.
    model: a diffusion model with a ControlNet, unless the mask is not used.
    template: the start shape.
    text: encoded prompt, in its front view.
    negative: encoded negative prompt.
    config: `first_image` of configs/mask.py.
  """
  size = model.sample_size
  mask = front_mask(template, size)
  condition = prior_batches.condition_image(
    mask[None], jnp.zeros((1, size, size, 1)), jnp.zeros((1, size, size, 3))
  )
  image = _sample_jit(
    model,
    rng,
    text,
    negative,
    condition if config.mask_scale else None,
    config.mask_scale,
    options=(
      config.steps,
      config.sampler,
      config.guidance_scale,
      config.guidance_rescale,
    ),
  )
  return FirstImage(image=0.5 * image + 0.5, mask=mask)


def linear(first: FirstImage) -> Float[Array, 's s 3']:
  """Return the picture in linear RGB."""
  return color.srgb_to_linear(first.image)
