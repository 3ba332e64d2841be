"""The synthesis network of StyleGAN2, at any resolution and width.

One stack serves the two-dimensional generator, the tri-plane backbone (96
image channels) and super-resolution. The styles, the factors s = A(w) of
every layer's input channels ("S space"), are a value of their own: `styles`
computes them from w, and the call runs on them, so that they can be read,
replaced or shifted without touching the weights.

Shapes: B batch, H W pixels, I F channels in and out, K image channels, N
copies of w of size D. Follows Karras et al. 2020, sections 2 and 4.1, figure
7, and Wu et al., "StyleSpace Analysis", CVPR 2021, for S.
"""

import functools
import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from maskjax.gan import convolution, fir, layers

# Of the noise images: the stored ones, new ones (from the random stream
# 'noise'), none, or those given: of a layer as [B, H, W, 1], of a network by
# block and layer (`draw_noise`).
NoiseImages = dict[str, dict[str, Float[Array, 'b _ _ 1']]]
Noise = (
  Literal['const', 'random', 'none']
  | Float[Array, 'b _ _ 1']
  | dict[str, Float[Array, 'b _ _ 1']]
  | NoiseImages
)
Architecture = Literal['skip', 'resnet', 'orig']
# Styles of a block by layer, of a network by block and layer: B x channels.
Styles = dict[str, Any]

_HALF = math.sqrt(0.5)


class StyledConv(nn.Module, kw_only=True):
  """Modulated 3x3 convolution, noise, bias and leaky ReLU.

  Attributes:
    in_features: input channels, the number of styles.
    features: output channels.
    resolution: side of the output, of the stored noise.
    up: 1 or 2.
    clamp: largest magnitude of the output, before the caller's gain.
    use_noise: whether the layer has noise at all.
    filter_gain: factor on the smoothing filter.
  """

  in_features: int
  features: int
  resolution: int
  up: int = 1
  clamp: float | None = None
  use_noise: bool = True
  filter_gain: float = 1.0

  def setup(self):
    """Create the parameters."""
    normal, zeros = nn.initializers.normal(1.0), nn.initializers.zeros
    self.affine = layers.Dense(self.in_features, bias_init=1.0)
    self.kernel = self.param(
      'kernel', normal, (3, 3, self.in_features, self.features)
    )
    self.bias = self.param('bias', zeros, (self.features,))
    if self.use_noise:
      self.noise_strength = self.param('noise_strength', zeros, ())
      self.noise_const = self.variable(
        'buffers',
        'noise_const',
        lambda: jax.random.normal(
          self.make_rng('params'), (self.resolution,) * 2
        ),
      )

  def style(self, w: Float[Array, 'b d']) -> Float[Array, 'b i']:
    """Return the styles of the input channels."""
    return self.affine(w)

  def _noise(self, noise: Noise, shape: tuple[int, ...]) -> Array:
    """Return noise images of one channel, scaled."""
    if not isinstance(noise, str):
      image = noise
    elif noise == 'const':
      image = self.noise_const.value[None, :, :, None]
    else:
      image = jax.random.normal(self.make_rng('noise'), (*shape[:3], 1))
    return image * self.noise_strength

  def __call__(
    self,
    x: Float[Array, 'b h w i'],
    styles: Float[Array, 'b i'],
    *,
    noise: Noise = 'const',
    gain: float = 1.0,
  ) -> Float[Array, 'b y x f']:
    """Return the maps, scaled by `gain` after the activation."""
    taps = fir.setup_filter(fir.BINOMIAL, gain=self.filter_gain)
    x = convolution.modulated_conv(
      x, self.kernel, styles, up=self.up, taps=taps
    )
    if self.use_noise and not (isinstance(noise, str) and noise == 'none'):
      x = x + self._noise(noise, x.shape)
    return layers.bias_act(
      x,
      self.bias,
      activation='lrelu',
      gain=layers.activation_gain('lrelu') * gain,
      clamp=None if self.clamp is None else self.clamp * gain,
    )


class ToImage(nn.Module):
  """Modulated 1x1 convolution to image channels, without demodulation.

  Attributes:
    in_features: input channels, the number of styles.
    features: image channels.
    clamp: largest magnitude of the output.
  """

  in_features: int
  features: int
  clamp: float | None = None

  def setup(self):
    """Create the parameters."""
    self.affine = layers.Dense(self.in_features, bias_init=1.0)
    self.kernel = self.param(
      'kernel',
      nn.initializers.normal(1.0),
      (1, 1, self.in_features, self.features),
    )
    self.bias = self.param('bias', nn.initializers.zeros, (self.features,))

  def style(self, w: Float[Array, 'b d']) -> Float[Array, 'b i']:
    """Return the styles of the input channels."""
    return self.affine(w)

  def __call__(
    self, x: Float[Array, 'b h w i'], styles: Float[Array, 'b i']
  ) -> Float[Array, 'b h w k']:
    """Return an image, or the part that one block adds to it."""
    styles = styles / math.sqrt(self.in_features)
    x = convolution.modulated_conv(x, self.kernel, styles, demodulate=False)
    return layers.bias_act(x, self.bias, clamp=self.clamp)


def _part(noise: Noise, name: str) -> Noise:
  """Return the noise of a block or layer."""
  return noise if isinstance(noise, str) else noise[name]


class SynthesisBlock(nn.Module, kw_only=True):
  """The layers of one resolution.

  Attributes:
    in_features: input channels; 0 for the first block, which starts from a
      learned constant.
    features: output channels.
    image_channels: channels of the image.
    resolution: side of the output.
    architecture: 'skip' adds an image at every block, 'resnet' has a linear
      branch beside the convolutions, 'orig' neither.
    is_last: whether the block makes the image of a network without skips.
    up: 2, or 1 for a block that keeps the size.
    clamp: largest magnitude of activations.
    use_noise: whether layers have noise.
    filter_gain: factor on smoothing filters.
  """

  in_features: int
  features: int
  image_channels: int
  resolution: int
  architecture: Architecture = 'skip'
  is_last: bool = False
  up: int = 2
  clamp: float | None = None
  use_noise: bool = True
  filter_gain: float = 1.0

  @property
  def num_convs(self) -> int:
    """Number of convolutions."""
    return 2 if self.in_features else 1

  @property
  def has_image(self) -> bool:
    """Whether the block makes or adds to the image."""
    return self.is_last or self.architecture == 'skip'

  @property
  def layer_names(self) -> tuple[str, ...]:
    """Layers with styles, in the order of the copies of w."""
    names = ('conv0', 'conv1') if self.in_features else ('conv1',)
    return (*names, 'torgb') if self.has_image else names

  def setup(self):
    """Create the layers."""
    conv = functools.partial(
      StyledConv,
      features=self.features,
      resolution=self.resolution,
      clamp=self.clamp,
      use_noise=self.use_noise,
      filter_gain=self.filter_gain,
    )
    if self.in_features:
      self.conv0 = conv(in_features=self.in_features, up=self.up)
    else:
      shape = (self.resolution, self.resolution, self.features)
      self.const = self.param('const', nn.initializers.normal(1.0), shape)
    self.conv1 = conv(in_features=self.features)
    if self.has_image:
      self.torgb = ToImage(self.features, self.image_channels, self.clamp)
    if self.in_features and self.architecture == 'resnet':
      self.skip = layers.Conv(
        self.features,
        1,
        up=self.up,
        use_bias=False,
        filter_gain=self.filter_gain,
      )

  def styles(self, ws: Float[Array, 'b n d']) -> Styles:
    """Return the styles of each layer, from one w for each."""
    return {
      name: getattr(self, name).style(ws[:, i])
      for i, name in enumerate(self.layer_names)
    }

  def _convolve(self, x, styles, noise):
    """Run the convolutions."""
    if not self.in_features:
      batch = styles['conv1'].shape[0]
      x = jnp.broadcast_to(self.const[None], (batch, *self.const.shape))
      return self.conv1(x, styles['conv1'], noise=_part(noise, 'conv1'))
    noises = [_part(noise, name) for name in ('conv0', 'conv1')]
    if self.architecture != 'resnet':
      x = self.conv0(x, styles['conv0'], noise=noises[0])
      return self.conv1(x, styles['conv1'], noise=noises[1])
    straight = self.skip(x, gain=_HALF)
    x = self.conv0(x, styles['conv0'], noise=noises[0])
    x = self.conv1(x, styles['conv1'], noise=noises[1], gain=_HALF)
    return straight + x

  def __call__(
    self,
    x: Float[Array, 'b h w i'] | None,
    image: Float[Array, 'b h w k'] | None,
    styles: Styles,
    *,
    noise: Noise = 'const',
  ) -> tuple[Float[Array, 'b y x f'], Float[Array, 'b y x k'] | None]:
    """Return the maps and the image at this block's resolution."""
    x = self._convolve(x, styles, noise)
    if image is not None and self.up > 1:
      taps = fir.setup_filter(fir.BINOMIAL, gain=self.filter_gain)
      image = fir.upsample(image, taps)
    if self.has_image:
      part = self.torgb(x, styles['torgb'])
      image = part if image is None else image + part
    return x, image


class Synthesis(nn.Module, kw_only=True):
  """Blocks from 4x4 to the full resolution.

  Attributes:
    channels: channels of the blocks, coarse to fine: 4x4, 8x8 and so on.
    image_channels: channels of the image.
    architecture: see `SynthesisBlock`.
    clamp: largest magnitude of activations.
    use_noise: whether layers have noise.
    filter_gain: factor on smoothing filters.
  """

  channels: tuple[int, ...]
  image_channels: int = 3
  architecture: Architecture = 'skip'
  clamp: float | None = None
  use_noise: bool = True
  filter_gain: float = 1.0

  def setup(self):
    """Create the blocks."""
    inputs = (0, *self.channels[:-1])
    for i, (before, features) in enumerate(zip(inputs, self.channels)):
      resolution = 4 << i
      block = SynthesisBlock(
        in_features=before,
        features=features,
        image_channels=self.image_channels,
        resolution=resolution,
        architecture=self.architecture,
        is_last=i == len(self.channels) - 1,
        clamp=self.clamp,
        use_noise=self.use_noise,
        filter_gain=self.filter_gain,
      )
      setattr(self, f'b{resolution}', block)

  def _blocks(self) -> dict[str, Any]:
    """Return the blocks by name, coarse to fine."""
    names = [f'b{4 << i}' for i in range(len(self.channels))]
    return {name: getattr(self, name) for name in names}

  def styles(self, ws: Float[Array, 'b n d']) -> Styles:
    """Return the styles of every block and layer.

    The image layer of a block shares its w with the next block's first
    convolution.

    Args:
      ws: `num_ws(channels)` copies of w.
    """
    styles, first = {}, 0
    for name, block in self._blocks().items():
      styles[name] = block.styles(ws[:, first:])
      first += block.num_convs
    return styles

  def __call__(
    self, styles: Styles, *, noise: Noise = 'const'
  ) -> Float[Array, 'b h w k']:
    """Return the image that the styles stand for."""
    x = image = None
    for name, block in self._blocks().items():
      x, image = block(x, image, styles[name], noise=_part(noise, name))
    return image


def num_ws(channels: tuple[int, ...]) -> int:
  """Return the copies of w that a network of such blocks takes."""
  return 2 * len(channels)


def draw_noise(keys: Key[Array, 'b'], channels: tuple[int, ...]) -> NoiseImages:
  """Draw the noise images of a network, each sample from its own key.

  Args:
    keys: one for each sample.
    channels: of the network's blocks, see `Synthesis`.

  Returns:
    Standard normal images by block and layer.
  """

  def draw(key):
    names = [
      (4 << i, layer)
      for i in range(len(channels))
      for layer in (('conv0', 'conv1') if i else ('conv1',))
    ]
    noise: dict[str, dict[str, Any]] = {}
    for own, (side, layer) in zip(jax.random.split(key, len(names)), names):
      image = jax.random.normal(own, (side, side, 1))
      noise.setdefault(f'b{side}', {})[layer] = image
    return noise

  return jax.vmap(draw)(keys)


def shift(styles: Styles, shifts: Styles | None) -> Styles:
  """Add shifts to styles, s + delta s.

  Args:
    styles: by block and layer.
    shifts: the same layers or some of them, one vector for the batch or one
      for each sample; None for none.

  Returns:
    The shifted styles.

  Raises:
    ValueError: a shift of a layer that is not there.
  """
  if shifts is None:
    return styles
  if unknown := sorted(set(shifts) - set(styles)):
    raise ValueError(f'no styles named {unknown}; there are {sorted(styles)}')
  shifted = dict(styles)
  for name, value in shifts.items():
    if isinstance(value, dict):
      shifted[name] = shift(styles[name], value)
    else:
      value = jnp.asarray(value)
      shifted[name] = styles[name] + value.reshape(-1, value.shape[-1])
  return shifted
