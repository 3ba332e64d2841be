"""Discriminators: StyleGAN2's, and EG3D's on pairs of images.

One module serves both: EG3D's sees the image and the raw rendering beside it,
enlarged, as six channels (`pair_images`). With a condition, the logit is the
projection of the features on the mapped condition.

Shapes: B batch, H W pixels, K image channels, C size of the condition, F
channels. Follows Karras et al. 2020, figure 7, Karras et al., "Progressive
Growing of GANs", section 3 (minibatch deviation), and Chan et al.,
"Efficient Geometry-aware 3D GANs", CVPR 2022, section 4.3 (dual
discrimination).
"""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.gan import (
  fir,
  layers,
  mapping as mapping_lib,
  model as model_lib,
  resize,
  stylegan2,
)
from maskjax.training import parallel, settings as settings_lib

_HALF = math.sqrt(0.5)
_ARCHITECTURES = ('skip', 'resnet', 'orig')

_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
  """Sizes of a discriminator.

  Attributes:
    image_channels: channels of the input, 6 for a pair of images.
    c_dim: size of the condition, 0 for none.
    channels: of the blocks, coarse to fine; the first is the 4x4 end.
    cmap_dim: size of the mapped condition, None for the channels at 4x4.
    architecture: 'resnet', 'skip' or 'orig'.
    clamp: largest magnitude of activations, None for no limit.
    group_size: samples that minibatch deviation compares, None for all.
    deviation_channels: channels that it adds, 0 for none.
    mapping_layers: dense layers for the condition.
    filter_gain: factor on the usual smoothing filter.
  """

  image_channels: int = _number(1, 4096, default=3)
  c_dim: int = _number(0, 8192, default=0)
  channels: tuple[int, ...] = _number(
    1, 8192, most=10, default=stylegan2.channel_schedule(512)
  )
  cmap_dim: int | None = _number(0, 8192, default=None)
  architecture: str = 'resnet'
  clamp: float | None = _number(0, default=256.0)
  group_size: int | None = _number(1, 4096, default=4)
  deviation_channels: int = _number(0, 4096, default=1)
  mapping_layers: int = _number(0, 64, default=8)
  filter_gain: float = _number(0, 1e3, default=1.0)

  def __post_init__(self):
    if self.architecture not in _ARCHITECTURES:
      raise ValueError(
        f'architecture={self.architecture!r} is not one of {_ARCHITECTURES}'
      )

  @property
  def resolution(self) -> int:
    """Side of the input in pixels."""
    return 2 << len(self.channels)

  @property
  def projection(self) -> int:
    """Size of the mapped condition, 0 without one."""
    return (self.cmap_dim or self.channels[0]) if self.c_dim else 0

  @property
  def filter_gains(self) -> dict[str, float]:
    """See `model.Config`."""
    return {'': self.filter_gain}

  @property
  def filter_owners(self) -> tuple[str, ...]:
    """See `model.Config`."""
    return ('',)

  @property
  def exported_filters(self) -> tuple[str, ...]:
    """See `model.Config`: a dual discriminator enlarges the raw image."""
    return ('',) if self.image_channels == 6 else ()

  def build(self) -> 'Discriminator':
    """Return the network."""
    return Discriminator(self)

  def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Return the shapes of one image and its condition."""
    side = self.resolution
    return (
      model_lib.one_sample(side, side, self.image_channels),
      model_lib.one_sample(self.c_dim),
    )


def minibatch_deviation(
  x: Float[Array, 'b h w f'],
  group_size: int | None = 4,
  channels: int = 1,
  *,
  axis_name: str | None = None,
) -> Float[Array, 'b h w g']:
  """Append how much the samples of a group differ.

  Sample b belongs to group b modulo B / group size.

  Args:
    x: maps.
    group_size: samples of a group, at most B; None for all.
    channels: number of groups of features, one channel is added for each.
    axis_name: of the devices that share the batch; groups are formed over the
      whole of it, so that one device and many see the same.

  Returns:
    The maps, and constant channels: the deviation over the group, averaged
    over pixels and features.

  Raises:
    ValueError: groups that do not divide the batch or the features.
  """
  own, x = x, parallel.gather(x, axis_name)
  batch, height, width, features = x.shape
  size = batch if group_size is None else min(group_size, batch)
  if batch % size or features % channels:
    raise ValueError(
      f'minibatch deviation cannot split {batch} samples into groups of '
      f'{size}, or {features} features into {channels}'
    )
  y = x.reshape(size, -1, height, width, channels, features // channels)
  y = y - y.mean(0, keepdims=True)
  y = jnp.sqrt(jnp.square(y).mean(0) + 1e-8).mean((1, 2, 4))
  y = parallel.share(jnp.tile(y, (size, 1)), axis_name)[:, None, None]
  y = jnp.broadcast_to(y, (own.shape[0], height, width, channels))
  return jnp.concatenate([own, y], -1)


def pair_images(
  image: Float[Array, 'b h w k'],
  raw: Float[Array, 'b i j k'],
  *,
  raw_weight: float | Float[Array, ''] = 1.0,
  method: str | float = 'antialiased',
) -> Float[Array, 'b h w 2*k']:
  """Join images with their raw renderings, enlarged to the same size.

  Args:
    image: final images.
    raw: raw renderings.
    raw_weight: factor on the raw ones, for fading them out.
    method: see `resize.resize_filtered`.

  Returns:
    The input of a dual discriminator.
  """
  enlarged = resize.resize_filtered(raw, image.shape[1], method=method)
  return jnp.concatenate([image, enlarged * raw_weight], -1)


class DiscriminatorBlock(nn.Module, kw_only=True):
  """The layers of one resolution, which halve it.

  Attributes:
    in_features: input channels, 0 for the first block, which sees the image
      alone.
    hidden: channels at this resolution.
    features: output channels.
    architecture: 'resnet', 'skip' or 'orig'.
    clamp: largest magnitude of activations.
    filter_gain: factor on smoothing filters.
  """

  in_features: int
  hidden: int
  features: int
  architecture: str = 'resnet'
  clamp: float | None = None
  filter_gain: float = 1.0

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w i'] | None,
    image: Float[Array, 'b h w k'] | None,
  ) -> tuple[Float[Array, 'b y x f'], Float[Array, 'b _ _ k'] | None]:
    """Return the maps, and the image that the next block sees."""
    conv = functools.partial(
      layers.Conv,
      activation='lrelu',
      clamp=self.clamp,
      filter_gain=self.filter_gain,
    )
    taps = fir.setup_filter(fir.BINOMIAL, gain=self.filter_gain)
    if not self.in_features or self.architecture == 'skip':
      y = conv(self.hidden, 1, name='fromrgb')(image)
      x = y if x is None else x + y
      image = (
        fir.downsample(image, taps) if self.architecture == 'skip' else None
      )
    residual = self.architecture == 'resnet'
    gain = _HALF if residual else 1.0
    y = conv(self.hidden, name='conv0')(x)
    y = conv(self.features, down=2, name='conv1')(y, gain=gain)
    if residual:
      skip = layers.Conv(
        self.features,
        1,
        down=2,
        use_bias=False,
        name='skip',
        filter_gain=self.filter_gain,
      )
      y = skip(x, gain=gain) + y
    return y, image


class Epilogue(nn.Module, kw_only=True):
  """From 4x4 maps to a logit.

  Attributes:
    features: input channels.
    projection: size of the mapped condition, 0 for none.
    architecture: 'resnet', 'skip' or 'orig'.
    clamp: largest magnitude of activations.
    group_size: see `minibatch_deviation`.
    deviation_channels: see `minibatch_deviation`; 0 for none.
  """

  features: int
  projection: int = 0
  architecture: str = 'resnet'
  clamp: float | None = None
  group_size: int | None = 4
  deviation_channels: int = 1

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b 4 4 f'],
    image: Float[Array, 'b 4 4 k'] | None = None,
    cmap: Float[Array, 'b p'] | None = None,
    *,
    axis_name: str | None = None,
  ) -> Float[Array, 'b 1']:
    """Return one logit for each sample."""
    if self.architecture == 'skip':
      x = x + layers.Conv(self.features, 1, 'lrelu', name='fromrgb')(image)
    if self.deviation_channels:
      x = minibatch_deviation(
        x, self.group_size, self.deviation_channels, axis_name=axis_name
      )
    x = layers.Conv(
      self.features, activation='lrelu', clamp=self.clamp, name='conv'
    )(x)
    # Channels first: the order in which checkpoints store the next weights.
    x = x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
    x = layers.Dense(self.features, 'lrelu', name='fc')(x)
    x = layers.Dense(self.projection or 1, name='out')(x)
    if not self.projection:
      return x
    return (x * cmap).sum(-1, keepdims=True) / math.sqrt(self.projection)


class Discriminator(nn.Module):
  """Tells real images, or pairs of images, from generated ones."""

  config: DiscriminatorConfig

  @nn.compact
  def __call__(
    self,
    image: Float[Array, 'b h w k'],
    c: Float[Array, 'b c'] | None = None,
    *,
    axis_name: str | None = None,
  ) -> Float[Array, 'b 1']:
    """Return how real images look.

    Args:
      image: about [-1, 1]; of `pair_images` for a dual discriminator.
      c: conditions, ignored without a size.
      axis_name: see `minibatch_deviation`.

    Returns:
      Logits, positive for real.

    Raises:
      ValueError: images of another size or number of channels.
    """
    config = self.config
    side = config.resolution
    if image.shape[1:] != (side, side, config.image_channels):
      raise ValueError(
        f'the discriminator takes images of {side}x{side} with '
        f'{config.image_channels} channels, got {image.shape[1:]}'
      )
    x, inputs = None, 0
    for i in range(len(config.channels) - 1, 0, -1):
      hidden, features = config.channels[i], config.channels[i - 1]
      x, image = DiscriminatorBlock(
        in_features=inputs,
        hidden=hidden,
        features=features,
        architecture=config.architecture,
        clamp=config.clamp,
        filter_gain=config.filter_gain,
        name=f'b{4 << i}',
      )(x, image)
      inputs = features
    cmap = None
    if config.projection:
      cmap = mapping_lib.Mapping(
        z_dim=0,
        c_dim=config.c_dim,
        w_dim=config.projection,
        num_ws=None,
        num_layers=config.mapping_layers,
        name='mapping',
      )(None, c)
    return Epilogue(
      features=config.channels[0],
      projection=config.projection,
      architecture=config.architecture,
      clamp=config.clamp,
      group_size=config.group_size,
      deviation_channels=config.deviation_channels,
      name='b4',
    )(x, image, cmap, axis_name=axis_name)
