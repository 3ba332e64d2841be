"""Generated images as in training, from latents and draws.

A generator of scenes is rendered from cameras and shows its mapping the same
cameras or swapped ones; a generator of images has no camera and no raw
rendering. Both functions have one signature, see `kinds`.

Shapes: B samples, H W pixels, K channels, S side of the raw rendering, N
copies of w, Z C D sizes of latent, condition and w. Follows Chan et al., CVPR
2022, section 4.4 (swapped cameras), and Karras et al. 2019, section 3.1 (style
mixing).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from maskjax.gan import (
  draws as draws_lib,
  eg3d,
  mapping as mapping_lib,
  model as model_lib,
  stylegan2,
  synthesis as synthesis_lib,
)
from maskjax.training import parallel

PyTree = Any
# Networks with a mapping from z and c to copies of w.
Maps = eg3d.EG3D | stylegan2.Generator


class Images(NamedTuple):
  """Images that a discriminator is shown.

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


def condition(
  c: Float[Array, 'b c'],
  swap: Float[Array, 'b'] | Float[Array, ''] | None,
  probability: float | Float[Array, ''],
  axis_name: str | None,
) -> Float[Array, 'b c']:
  """Return the cameras that the mapping sees.

  Args:
    c: cameras that the samples are rendered from.
    swap: uniform numbers in [0, 1), one for each sample or for the batch; None
      shows the mapping zeros.
    probability: of the camera of the sample before.
    axis_name: of the devices that share the batch.
  """
  if swap is None:
    return jnp.zeros_like(c)
  swapped: Bool[Array, '...'] = swap < probability
  swapped = jnp.broadcast_to(swapped, c.shape[:1])[:, None]
  return jnp.where(swapped, _before(c, axis_name), c)


def map_mixed(
  generator: Maps,
  variables: PyTree,
  z: Float[Array, 'b z'],
  c: Float[Array, 'b c'] | None,
  draws: draws_lib.MixingDraws | None,
  probability: float,
) -> Float[Array, 'b n d']:
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


def of_images(
  generator: stylegan2.Generator,
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
) -> tuple[Images, Float[Array, 'b n d']]:
  """Make images in two dimensions.

  Args:
    generator: network.
    variables: its weights and buffers.
    z: latents, standard normal.
    c: conditions that the mapping sees; None for none.
    draws: random numbers, see `draws.for_images`.
    swap_probability: there are no cameras that could be swapped.
    mixing_probability: of mixing styles, where there are draws for it.
    resolution: there is no raw rendering that it could be of.
    shifts: of styles, see `synthesis.shift`.
    axis_name: of the devices that share the batch.

  Returns:
    Images and the latents w they were made of, without truncation.
  """
  del swap_probability, resolution, axis_name
  ws = map_mixed(generator, variables, z, c, draws.mixing, mixing_probability)
  made = model_lib.run(
    variables,
    generator.synthesize,
    ws,
    shifts=shifts,
    noise='none' if draws.noise is None else draws.noise,
  )
  return Images(made.image), ws


def of_scenes(
  generator: eg3d.EG3D,
  variables: PyTree,
  z: Float[Array, 'b z'],
  c: Float[Array, 'b c'],
  draws: draws_lib.Draws,
  *,
  swap_probability: float | Float[Array, ''] = 0.0,
  mixing_probability: float = 0.0,
  resolution: int | None = None,
  shifts: synthesis_lib.Styles | None = None,
  axis_name: str | None = None,
) -> tuple[Images, Float[Array, 'b n d']]:
  """Make images of scenes, rendered from cameras.

  Args:
    generator: network.
    variables: its weights and buffers.
    z: latents, standard normal.
    c: cameras to render from, EG3D's 25 numbers.
    draws: random numbers, see `draws.for_scenes`.
    swap_probability: of conditioning on the camera of the sample before.
    mixing_probability: of mixing styles, where there are draws for it.
    resolution: side of the raw rendering in pixels, None for the config's.
    shifts: of styles, see `synthesis.shift`.
    axis_name: of the devices that share the batch.

  Returns:
    Images and the latents w they were made of, without truncation.
  """
  seen = condition(c, draws.swap, swap_probability, axis_name)
  ws = map_mixed(
    generator, variables, z, seen, draws.mixing, mixing_probability
  )
  picture = model_lib.run(
    variables,
    generator.synthesize,
    ws,
    c,
    draws.uniforms,
    resolution=resolution,
    shifts=shifts,
    noise='none' if draws.noise is None else draws.noise,
  )
  return Images(picture.image, picture.image_raw), ws
