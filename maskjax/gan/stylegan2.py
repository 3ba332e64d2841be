"""The StyleGAN2 generator: mapping and synthesis, and their configuration.

Shapes: B batch, Z C D sizes of latent, condition and w, N copies of w, H W
pixels, K image channels. Follows Karras et al. 2020 and StyleGAN2-ADA (2020).
"""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from maskjax.gan import (
  mapping as mapping_lib,
  model as model_lib,
  synthesis as synthesis_lib,
)
from maskjax.training import settings as settings_lib

_ARCHITECTURES = ('skip', 'resnet', 'orig')


def channel_schedule(
  resolution: int, channel_base: int = 32768, channel_max: int = 512
) -> tuple[int, ...]:
  """Return the channels of the blocks from 4x4 to a resolution.

  Args:
    resolution: side of the image, a power of two from 4 on.
    channel_base: channels times side of a block, where there is no limit.
    channel_max: largest number of channels.

  Raises:
    ValueError: a resolution that no row of blocks ends at.
  """
  if resolution < 4 or resolution & (resolution - 1):
    raise ValueError(
      f'resolution={resolution} is not a power of two of at least 4'
    )
  count = resolution.bit_length() - 2
  return tuple(min(channel_base // (4 << i), channel_max) for i in range(count))


_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleGAN2Config:
  """Sizes of a generator.

  Attributes:
    z_dim: size of the latent.
    c_dim: size of the condition, 0 for none.
    w_dim: size of the intermediate latent.
    channels: of the blocks, coarse to fine; see `channel_schedule`.
    image_channels: channels of the image.
    mapping_layers: dense layers of the mapping network.
    embed_features: size of the embedded condition, None for w_dim.
    layer_features: size of the mapping's hidden layers, None for w_dim.
    architecture: 'skip', 'resnet' or 'orig'.
    clamp: largest magnitude of activations, None for no limit.
    use_noise: whether layers have noise.
    filter_gain: factor on the usual smoothing filter.
  """

  z_dim: int = _number(1, 8192, default=512)
  c_dim: int = _number(0, 8192, default=0)
  w_dim: int = _number(1, 8192, default=512)
  channels: tuple[int, ...] = _number(
    1, 8192, most=10, default=channel_schedule(256)
  )
  image_channels: int = _number(1, 4096, default=3)
  mapping_layers: int = _number(0, 64, default=8)
  embed_features: int | None = _number(1, 8192, default=None)
  layer_features: int | None = _number(1, 8192, default=None)
  architecture: synthesis_lib.Architecture = 'skip'
  clamp: float | None = _number(0, default=None)
  use_noise: bool = True
  filter_gain: float = _number(0, 1e3, default=1.0)

  def __post_init__(self):
    if self.architecture not in _ARCHITECTURES:
      raise ValueError(
        f'architecture={self.architecture!r} is not one of {_ARCHITECTURES}'
      )

  @property
  def resolution(self) -> int:
    """Side of the image in pixels."""
    return 2 << len(self.channels)

  @property
  def num_ws(self) -> int:
    """Copies of w that the synthesis takes."""
    return synthesis_lib.num_ws(self.channels)

  @property
  def backbone(self) -> 'StyleGAN2Config':
    """The StyleGAN2 of a generator: here all of it."""
    return self

  @property
  def output_side(self) -> int:
    """Side of the final images in pixels."""
    return self.resolution

  @property
  def rendering_resolution(self) -> None:
    """Side of the raw rendering: there is none."""
    return None

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
    """See `model.Config`."""
    return ()

  def build(self) -> 'Generator':
    """Return the network."""
    return Generator(self)

  def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Return the shapes of one sample's latent and condition."""
    return model_lib.one_sample(self.z_dim), model_lib.one_sample(self.c_dim)


class Image(NamedTuple):
  """What a generator returns.

  Attributes:
    image: about [-1, 1], sRGB once trained on such images.
    styles: of every block and layer, shifts included.
  """

  image: Float[Array, 'b h w k']
  styles: synthesis_lib.Styles


class Generator(nn.Module):
  """Images, or tri-planes, from latents.

  `map` turns z and c into copies of w, `styles` those into the S space,
  `from_styles` these into an image; the call goes all the way.
  """

  config: StyleGAN2Config

  def setup(self):
    """Create the two networks."""
    config = self.config
    self.mapping = mapping_lib.Mapping(
      z_dim=config.z_dim,
      c_dim=config.c_dim,
      w_dim=config.w_dim,
      num_ws=config.num_ws,
      num_layers=config.mapping_layers,
      embed_features=config.embed_features,
      layer_features=config.layer_features,
    )
    self.synthesis = synthesis_lib.Synthesis(
      channels=config.channels,
      image_channels=config.image_channels,
      architecture=config.architecture,
      clamp=config.clamp,
      use_noise=config.use_noise,
      filter_gain=config.filter_gain,
    )

  def map(
    self,
    z: Float[Array, 'b z'],
    c: Float[Array, 'b c'] | None = None,
    *,
    truncation_psi: float | None = None,
    truncation_cutoff: int | None = None,
  ) -> Float[Array, 'b n d']:
    """Return copies of w; see `mapping.Mapping`."""
    return self.mapping(
      z,
      c,
      truncation_psi=truncation_psi,
      truncation_cutoff=truncation_cutoff,
    )

  def styles(self, ws: Float[Array, 'b n d']) -> synthesis_lib.Styles:
    """Return the styles of every block and layer."""
    return self.synthesis.styles(ws)

  def from_styles(
    self,
    styles: synthesis_lib.Styles,
    *,
    noise: synthesis_lib.Noise = 'const',
  ) -> Float[Array, 'b h w k']:
    """Return the image of styles."""
    return self.synthesis(styles, noise=noise)

  def synthesize(
    self,
    ws: Float[Array, 'b n d'],
    *,
    shifts: synthesis_lib.Styles | None = None,
    noise: synthesis_lib.Noise = 'const',
  ) -> Image:
    """Make images.

    Args:
      ws: copies of w.
      shifts: added to the styles, see `synthesis.shift`.
      noise: 'const', 'random' (needs the random stream 'noise') or 'none'.

    Returns:
      Images and the styles they were made with.
    """
    styles = synthesis_lib.shift(self.styles(ws), shifts)
    return Image(self.from_styles(styles, noise=noise), styles)

  def __call__(
    self,
    z: Float[Array, 'b z'],
    c: Float[Array, 'b c'] | None = None,
    *,
    truncation_psi: float | None = None,
    truncation_cutoff: int | None = None,
    **options: Any,
  ) -> Image:
    """Map, then `synthesize` with the options given."""
    ws = self.map(
      z,
      c,
      truncation_psi=truncation_psi,
      truncation_cutoff=truncation_cutoff,
    )
    return self.synthesize(ws, **options)
