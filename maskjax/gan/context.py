"""What the phases of one adversarial step share, and what they all do with it.

Shapes: B samples of this device, K keys. A `Context` lives while one step is
traced; it is no state.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
import optax

from maskjax.gan import (
  adversarial,
  augment as augment_lib,
  fakes,
  losses,
)
from maskjax.training import parallel

PyTree = Any
# Largest entry that is left of a gradient that is not finite.
_LIMIT = 1e5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
  """What the phases of a step share.

  Attributes:
    generator: network.
    discriminator: network.
    config: of the training.
    axis_name: of the devices that share the batch; None for one device.
    batch: what the step sees of the data.
    resolution: side of the raw rendering in pixels; None in two dimensions.
    blur: deviation of the blur of this step in pixels; None for none.
    swap: probability of swapped cameras at this step.
  """

  generator: nn.Module
  discriminator: nn.Module
  config: adversarial.GANConfig
  axis_name: str | None
  batch: adversarial.GANBatch
  resolution: int | None
  blur: Float[Array, ''] | None
  swap: Float[Array, '']

  @property
  def size(self) -> int:
    """Samples on this device."""
    return self.batch.image.shape[0]

  @property
  def conditioned(self) -> bool:
    """Whether the mapping sees cameras."""
    return self.config.swap_end is not None

  @property
  def mixes(self) -> bool:
    """Whether styles are mixed."""
    return self.config.mixing_probability > 0


def split_shifts(params: PyTree, buffers: PyTree) -> tuple[PyTree, PyTree]:
  """Split trained parameters into a network's variables and style shifts."""
  own = {name: value for name, value in params.items() if name != 'shifts'}
  return {'params': own, 'buffers': buffers}, params.get('shifts')


def keys(context: Context, rng: Key[Array, '']) -> Key[Array, 'b']:
  """Return a key for each sample, the same on any number of devices."""
  return parallel.example_keys(rng, context.size, context.axis_name)


def latents(context: Context, rng: Key[Array, '']) -> Float[Array, 'b z']:
  """Draw a latent for each sample."""
  size = context.generator.config.backbone.z_dim
  draw = lambda key: jax.random.normal(key, (size,))
  return jax.vmap(draw)(keys(context, rng))


def update(
  context: Context,
  state: adversarial.NetworkState,
  gradients: PyTree,
  tx: optax.GradientTransformation,
) -> adversarial.NetworkState:
  """Take a step along gradients, averaged over devices and made finite.

  Args:
    context: of the step.
    state: of the network before.
    gradients: of this device's samples, a tree like the network's params.
    tx: optimiser of the network.
  """
  gradients = parallel.pmean(gradients, context.axis_name)
  gradients = jax.tree.map(
    lambda x: jnp.nan_to_num(x, nan=0.0, posinf=_LIMIT, neginf=-_LIMIT),
    gradients,
  )
  updates, opt_state = tx.update(gradients, state.opt_state, state.params)
  params = optax.apply_updates(state.params, updates)
  return adversarial.NetworkState(params, opt_state)


def view(
  context: Context,
  images: fakes.Images,
  *,
  probability: Float[Array, ''],
  rng: Key[Array, ''],
) -> fakes.Images:
  """Return images as the discriminator is shown them.

  Args:
    context: of the step.
    images: real or generated ones.
    probability: of each change of the augmentation.
    rng: key that the changes are drawn from.
  """
  augment = None
  if context.config.augment is not None:
    augment = augment_lib.augmenter(
      keys(context, rng), probability, context.config.augment
    )
  return losses.view(images, blur_sigma=context.blur, augment=augment)


def discriminate(
  context: Context,
  params: PyTree,
  images: fakes.Images,
  c: Float[Array, 'b c'] | None,
) -> Float[Array, 'b 1']:
  """Return the discriminator's logits of images as they are shown."""
  return losses.discriminate(
    context.discriminator,
    {'params': params},
    images,
    c,
    axis_name=context.axis_name,
  )


def real_images(context: Context) -> fakes.Images:
  """Return the real images, the raw ones blurred like the final ones."""
  batch, blur = context.batch, context.blur
  if context.resolution is None:
    return fakes.Images(batch.image)
  if batch.raw is None:
    return losses.real_images(
      batch.image, resolution=context.resolution, blur_sigma=blur
    )
  raw = batch.raw if blur is None else losses.blur(batch.raw, blur)
  return fakes.Images(batch.image, raw)
