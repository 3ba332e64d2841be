"""Telling a person from the background of a picture.

Nothing in the package calls it yet: it is there for masks that are worn,
which have to know where the person ends.

Shapes: `h w` pixels.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.face import crops, networks


def segment_person(
  nets: networks.Networks, image: Float[Array, 'h w 3']
) -> Float[Array, 'h w']:
  """Return how likely each pixel belongs to a person.

  Made for one person within two metres of the camera, as in a video call.

  Args:
    nets: the networks' parameters, from `networks.load`.
    image: sRGB in [0, 1].

  Returns:
    Probabilities in [0, 1], smooth at the outline; 0 everywhere where the
    picture is not finite.
  """
  height, width, _ = image.shape
  size = networks.SEGMENTER_SIZE
  region = crops.whole(height, width, square=False)
  seen = crops.crop(image, region, size, outside=0.0)
  logits = networks.SelfieSegmenter().apply(
    {'params': nets.segmenter}, seen[None]
  )
  mask = jnp.nan_to_num(jax.nn.sigmoid(logits[0]))
  return jnp.clip(jax.image.resize(mask, (height, width), 'bilinear'), 0, 1)
