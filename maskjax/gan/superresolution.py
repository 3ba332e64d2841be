"""From rendered features to the final image: EG3D's super-resolution modules.

Two synthesis blocks on the features, both driven by the last w. Modules
differ in whether the first block enlarges, in their usual sizes, and in when
they resize what they get.

Shapes: B batch, H W pixels, C features. Follows Chan et al., "Efficient
Geometry-aware 3D GANs", CVPR 2022, section 3.2, and its code.
"""

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.gan import resize, synthesis as synthesis_lib
from maskjax.training import settings as settings_lib


class Kind(NamedTuple):
  """What distinguishes a super-resolution module.

  Attributes:
    enlarges: whether the first block doubles the size, as the second does.
    shrinks: whether an input larger than the module's is resized; such input
      is an error otherwise.
    input_resolution: usual side of the input.
    channels: usual channels of the two blocks.
  """

  enlarges: bool
  shrinks: bool
  input_resolution: int
  channels: tuple[int, int]


KINDS = {
  '8XDC': Kind(
    enlarges=True, shrinks=True, input_resolution=128, channels=(256, 128)
  ),
  '8X': Kind(
    enlarges=True, shrinks=True, input_resolution=128, channels=(128, 64)
  ),
  '4X': Kind(
    enlarges=False, shrinks=False, input_resolution=128, channels=(128, 64)
  ),
  'Deepfp32': Kind(
    enlarges=False, shrinks=False, input_resolution=128, channels=(128, 64)
  ),
  '2X': Kind(
    enlarges=False, shrinks=True, input_resolution=64, channels=(128, 64)
  ),
}

_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuperResolutionConfig:
  """Sizes of a super-resolution module.

  Attributes:
    kind: one of `KINDS`.
    input_resolution: side that inputs are resized to, None for the usual.
    channels: of the two blocks, None for the usual.
    antialias: whether that resizing filters.
    clamp: largest magnitude of activations, None for no limit.
    noise: 'none', 'const' or 'random'.
    filter_gain: factor on the usual smoothing filter.
  """

  kind: str = '8XDC'
  input_resolution: int | None = _number(1, 2048, default=None)
  channels: tuple[int, int] | None = _number(1, 8192, default=None)
  antialias: bool = True
  clamp: float | None = _number(0, default=256.0)
  noise: synthesis_lib.Noise = 'none'
  filter_gain: float = _number(0, 1e3, default=1.0)

  def __post_init__(self):
    if self.kind not in KINDS:
      raise ValueError(
        f'super-resolution {self.kind!r} is not one of {sorted(KINDS)}'
      )

  @property
  def features(self) -> tuple[int, int]:
    """Channels of the two blocks."""
    return self.channels or KINDS[self.kind].channels

  @property
  def input_side(self) -> int:
    """Side that inputs are resized to."""
    return self.input_resolution or KINDS[self.kind].input_resolution

  @property
  def enlarges(self) -> bool:
    """Whether the first block doubles the size."""
    return KINDS[self.kind].enlarges

  @property
  def output_side(self) -> int:
    """Side of the final image."""
    return self.input_side * (4 if self.enlarges else 2)

  def resizes(self, side: int) -> bool:
    """Return whether inputs of a side are resized.

    Raises:
      ValueError: inputs larger than the module can take.
    """
    if side > self.input_side and not KINDS[self.kind].shrinks:
      raise ValueError(
        f'super-resolution {self.kind} takes renderings of at most '
        f'{self.input_side}x{self.input_side}, got {side}x{side}'
      )
    return side != self.input_side


class SuperResolution(nn.Module):
  """Enlarges renderings by two synthesis blocks.

  Attributes:
    config: of the module.
    in_features: channels of the rendered features.
  """

  config: SuperResolutionConfig
  in_features: int = 32

  def setup(self):
    """Create the blocks."""
    config = self.config
    first, second = config.features
    side = config.input_side * (2 if config.enlarges else 1)
    self.block0 = synthesis_lib.SynthesisBlock(
      in_features=self.in_features,
      features=first,
      image_channels=3,
      resolution=side,
      up=2 if config.enlarges else 1,
      clamp=config.clamp,
      filter_gain=config.filter_gain,
    )
    self.block1 = synthesis_lib.SynthesisBlock(
      in_features=first,
      features=second,
      image_channels=3,
      resolution=2 * side,
      is_last=True,
      clamp=config.clamp,
      filter_gain=config.filter_gain,
    )

  def styles(self, ws: Float[Array, 'b n d']) -> synthesis_lib.Styles:
    """Return the styles, all of the last w."""
    last = jnp.repeat(ws[:, -1:], 3, 1)
    return {
      'block0': self.block0.styles(last),
      'block1': self.block1.styles(last),
    }

  def __call__(
    self, features: Float[Array, 'b h w c'], styles: synthesis_lib.Styles
  ) -> tuple[Float[Array, 'b i j 3'], Float[Array, 'b k l 3']]:
    """Enlarge.

    Args:
      features: rendered, the first three are colours.
      styles: of `styles`.

    Returns:
      The final image, and the image after the first block.
    """
    config = self.config
    if config.resizes(features.shape[1]):
      features = resize.resize(
        features, config.input_side, antialias=config.antialias
      )
    x, first = self.block0(
      features, features[..., :3], styles['block0'], noise=config.noise
    )
    _, image = self.block1(x, first, styles['block1'], noise=config.noise)
    return image, first
