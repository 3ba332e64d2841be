"""The first image: a picture of the prompt in the shape of the mask.

The start shape, seen from the front, gives a 2D mask (an oval, or a face with
holes for eyes and mouth); the diffusion model, conditioned on that mask,
paints the prompt into it (patent [0101], [0112], Fig. 7, claim 18). The mask
is shown to ControlNets where there are any; without, or with a UNet made for
inpainting, it is the part of a grey canvas that is painted.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from maskjax.diffusion import model as model_lib, painting
from maskjax.geometry import (
  camera as camera_lib,
  color,
  template as template_lib,
)
from maskjax.mask import control, settings as settings_lib, views
from maskjax.render import lights as lights_lib, renderer
from maskjax.studio import maps


def paints_maps(model: model_lib.DiffusionModel) -> bool:
  """Tell if a model paints normals and coverage beside colour."""
  return model_lib.picture_channels(model) == maps.CHANNELS


class FirstImage(NamedTuple):
  """The picture that the mask is painted with."""

  image: Float[Array, 's s 3']  # sRGB in [0, 1]
  mask: Float[Array, 's s 1']  # coverage of the start shape from the front
  # Of what the picture shows, where the model paints that, too: normals times
  # coverage, in [-1, 1], and coverage, in [0, 1].
  normals: Float[Array, 's s 3'] | None = None
  coverage: Float[Array, 's s 1'] | None = None


@functools.partial(jax.jit, static_argnames=('size',))
def _drawn(
  vertices: Float[Array, 'v 3'],
  faces: Int[Array, 'f 3'],
  camera: camera_lib.Camera,
  lights: lights_lib.Lights,
  *,
  size: int,
) -> renderer.Rendering:
  """Render a white mesh sharply."""
  return renderer.render(
    vertices,
    faces,
    jnp.ones_like(vertices),
    camera,
    lights,
    size=size,
    sigma=1e-8,
    samples=4,
  )


def _front(template: template_lib.Template, size: int) -> renderer.Rendering:
  """Render a start shape from the front, sharply."""
  cameras, lights = views.fixed((0.0,))
  mesh = template.mesh
  return _drawn(mesh.vertices, mesh.faces, cameras, lights, size=size)


def front_mask(
  template: template_lib.Template, size: int
) -> Float[Array, 's s 1']:
  """Return the silhouette of a start shape from the front, holes included."""
  return _front(template, size).alpha[0]


_sample_jit = jax.jit(
  painting.sample_images,
  static_argnames=('steps', 'sampler', 'guidance_rescale'),
)


def generate(
  rng: PRNGKeyArray,
  model: model_lib.DiffusionModel,
  template: template_lib.Template,
  text: Float[Array, 't d'],
  negative: Float[Array, 't d'],
  settings: settings_lib.FirstImage,
  *,
  shows: str = '',
) -> FirstImage:
  """Sample the first image.

  Args:
    rng: typed random key, used here only.
    model: a diffusion model, with or without ControlNets.
    template: the start shape, cm, +z out of the face.
    text: encoded prompt, in its front view.
    negative: the encoded negative prompt.
    settings: sampler, guidance, and how strongly the 2D mask is shown.
    shows: names of what each ControlNet is shown, see `control.shown`.
  """
  size = model.sample_size
  front = _front(template, size)
  kinds = control.shown(model, shows)
  inpainting = conditions = None
  if kinds and settings.mask_scale:
    conditions = control.of_rendering(
      model, kinds, front, height=False, normals=False
    )
  maps_painted = paints_maps(model)
  if model_lib.is_inpainting(model) or (
    settings.mask_scale and not kinds and not maps_painted
  ):
    canvas = jnp.zeros((1, size, size, 3))
    inpainting = painting.Inpainting(canvas, front.alpha)
  images = _sample_jit(
    model,
    rng,
    text[None],
    negative[None],
    steps=settings.steps,
    sampler=settings.sampler,
    guidance_scale=settings.guidance_scale,
    guidance_rescale=settings.guidance_rescale,
    condition=conditions,
    conditioning_scale=settings.mask_scale,
    inpainting=inpainting,
    labels=front_label()[None] if maps_painted else None,
  )
  image, mask = images[0, ..., maps.COLOR], front.alpha[0]
  if not maps_painted:
    return FirstImage(image, mask)
  return FirstImage(
    image,
    mask,
    normals=2.0 * images[0, ..., maps.NORMALS] - 1.0,
    coverage=images[0, ..., maps.COVERAGE],
  )


def front_label() -> Float[Array, '6']:
  """Return what a model that is told the camera is told of the front."""
  zero = jnp.zeros(())
  return maps.camera_labels(zero, zero, jnp.ones(()))


def picture(first: FirstImage) -> Float[Array, 's s 7']:
  """Return a first image with its shape as the model paints them."""
  assert first.normals is not None and first.coverage is not None
  return maps.stack(2.0 * first.image - 1.0, first.normals, first.coverage)


def shown(first: FirstImage) -> Float[Array, 's s 1']:
  """Return where the picture shows what the start shape is painted with."""
  if first.coverage is None:
    return first.mask
  return first.mask * first.coverage


def linear(first: FirstImage) -> Float[Array, 's s 3']:
  """Return the picture in linear RGB."""
  return color.srgb_to_linear(first.image)
