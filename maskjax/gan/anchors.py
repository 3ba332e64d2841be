"""Anchors of an adversarial training: known people stay who they are.

A loss of the pictures of known latents in the generator's update, which holds
faces and relief while the discriminator sharpens them. Both functions have
one signature, see `kinds`.

Shapes: B known scenes, Z size of the latent.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from maskjax.gan import (
  adversarial,
  autodecoder,
  context as context_lib,
  scene_codes,
)
from maskjax.training import parallel

PyTree = Any
# Latents are held, and the training has a density loss of its own.
_LOSSES = autodecoder.DecoderLosses(prior=0.0, density=0.0, density_points=1)
# Logarithm of a deviation that no float32 tells from none.
_NO_SPREAD = -20.0


def of_images(
  context: context_lib.Context,
  known: adversarial.Known,
  variables: PyTree,
  rng: Key[Array, ''],
) -> Float[Array, '']:
  """Return how far drawn pictures are from those of known latents.

  Args:
    context: of the step.
    known: one view of each scene; the latents end in the view's angles.
    variables: of the generator.
    rng: nothing is drawn.
  """
  del rng
  generator: Any = context.generator
  image = autodecoder.draw(generator, variables, known.z)
  wanted = known.views.image[:, 0]
  return autodecoder.pyramid_distance(image, wanted, _LOSSES.levels)


def of_scenes(
  context: context_lib.Context,
  known: adversarial.Known,
  variables: PyTree,
  rng: Key[Array, ''],
) -> Float[Array, '']:
  """Return the auto-decoder's loss of known scenes, their latents held.

  Args:
    context: of the step.
    known: views of the scenes; the mapping is shown the first one's camera.
    variables: of the generator.
    rng: key that samples along rays are drawn from.
  """
  count = known.z.shape[0]
  keys = parallel.example_keys(rng, count, context.axis_name)
  # Codes without spread, which the prior cannot move either.
  spread = jnp.full(known.z.shape[1:], _NO_SPREAD)
  generator: Any = context.generator
  value, _ = autodecoder.decoder_loss(
    generator,
    variables,
    scene_codes.Codes(known.z, spread),
    known.views._replace(scene=jnp.arange(count)),
    keys,
    _LOSSES,
    context.axis_name,
    c=known.views.camera[:, 0],
  )
  return value
