"""EG3D: a generator of scenes that are rendered from any camera.

A StyleGAN2 backbone makes three planes of features, a small decoder turns
what a point reads from them into density and colour, volume rendering makes a
small image with many channels, and super-resolution the final one.

The parts are methods, so that planes can be computed once and rendered from
many cameras:

  ws = model_lib.run(variables, generator.map, z, c)
  styles = model_lib.run(variables, generator.styles, ws)
  planes = model_lib.run(variables, generator.planes, styles)
  picture = model_lib.run(variables, generator.render, planes, styles, c)

Between `styles` and `planes`, the styles (S space) are yours to change.

Shapes: B batch, Z D sizes of z and w, N copies of w, R side of a plane, P
points, H side of the final image, S of the rendering, F features. A camera is
a 25-vector, cam2world and normalised intrinsics row by row, OpenCV axes.
Follows Chan et al., "Efficient Geometry-aware 3D Generative Adversarial
Networks", CVPR 2022.
"""

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped
import numpy as np

from maskjax.gan import (
  layers,
  stylegan2,
  superresolution as superresolution_lib,
  synthesis as synthesis_lib,
)
from maskjax.geometry import camera as camera_lib
from maskjax.render.volume import (
  rays as rays_lib,
  triplane,
  volume as volume_lib,
)
from maskjax.training import settings as settings_lib

_BACKBONE = stylegan2.StyleGAN2Config(
  c_dim=25, image_channels=96, mapping_layers=2
)
_SUPERRESOLUTION = superresolution_lib.SuperResolutionConfig()
_VOLUME = volume_lib.VolumeConfig()

_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class EG3DConfig:
  """Sizes and settings of a generator.

  Attributes:
    backbone: of the network that makes the planes; its image channels are
      three times the features of a plane.
    superresolution: of the final network.
    volume: sampling along rays.
    rendering_resolution: side of the rendering where none is asked for.
    hidden_features: hidden size of the decoder.
    features: colour features of a point.
    decoder_lr_multiplier: learning rate of the decoder.
    plane_axes: 'eg3d', as in released models, or 'fixed'.
    condition_scale: factor on the camera where it conditions the mapping.
    zero_condition: show the mapping zeros instead of the camera.
  """

  backbone: stylegan2.StyleGAN2Config = _BACKBONE
  superresolution: superresolution_lib.SuperResolutionConfig = _SUPERRESOLUTION
  volume: volume_lib.VolumeConfig = _VOLUME
  rendering_resolution: int = _number(1, 2048, default=64)
  hidden_features: int = _number(1, 8192, default=64)
  features: int = _number(1, 4096, default=32)
  decoder_lr_multiplier: float = _number(0, 1e3, default=1.0)
  plane_axes: triplane.PlaneAxes = 'eg3d'
  condition_scale: float = _number(-1e3, 1e3, default=1.0)
  zero_condition: bool = False

  def __post_init__(self):
    if self.backbone.image_channels % 3:
      raise ValueError(
        f'{self.backbone.image_channels} channels do not make three planes'
      )
    if self.plane_axes not in triplane.PLANE_AXES:
      raise ValueError(
        f'plane_axes={self.plane_axes!r} is not one of '
        f'{sorted(triplane.PLANE_AXES)}'
      )

  @property
  def output_side(self) -> int:
    """Side of the final images in pixels."""
    return self.superresolution.output_side

  @property
  def filter_gains(self) -> dict[str, float]:
    """See `model.Config`."""
    return {
      'backbone.': self.backbone.filter_gain,
      'superresolution.': self.superresolution.filter_gain,
    }

  @property
  def filter_owners(self) -> tuple[str, ...]:
    """See `model.Config`: the reference's classes differ here without a
    difference in what they compute."""
    return ('', 'superresolution')

  @property
  def exported_filters(self) -> tuple[str, ...]:
    """See `model.Config`."""
    return () if self.superresolution.kind == '8XDC' else ('superresolution',)

  def build(self) -> 'EG3D':
    """Return the network."""
    return EG3D(self)

  def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Return the shapes of one sample's latent and camera."""
    return self.backbone.inputs()


class Picture(NamedTuple):
  """What a generator returns.

  Attributes:
    image: final image, about [-1, 1].
    image_raw: rendered colours, [-1, 1]. In 'parity' mode, and where the
      first block of super-resolution neither resizes nor enlarges, that
      block's addition too: the reference adds it in place.
    depth: mean depth of what a pixel sees.
    weights: coverage of a pixel, in [0, 1].
    features: all rendered channels.
    styles: that the picture was made with.
  """

  image: Float[Array, 'b h h 3']
  image_raw: Float[Array, 'b s s 3']
  depth: Float[Array, 'b s s 1']
  weights: Float[Array, 'b s s 1']
  features: Float[Array, 'b s s f']
  styles: synthesis_lib.Styles


class Decoder(nn.Module):
  """From features at points to density and colour features.

  Attributes:
    hidden: hidden size.
    features: colour features.
    lr_multiplier: learning rate.
  """

  hidden: int = 64
  features: int = 32
  lr_multiplier: float = 1.0

  @nn.compact
  def __call__(
    self, features: Float[Array, 'b n c']
  ) -> tuple[Float[Array, 'b n'], Float[Array, 'b n f']]:
    """Return raw densities, and features in about [0, 1].

    Args:
      features: means over the three planes.
    """
    rate = self.lr_multiplier
    x = layers.Dense(self.hidden, 'softplus', rate, name='net_0')(features)
    x = layers.Dense(self.features + 1, 'linear', rate, name='net_2')(x)
    # A little beyond [0, 1], so that black and white can be reached
    # (Mip-NeRF, appendix C).
    return x[..., 0], jax.nn.sigmoid(x[..., 1:]) * 1.002 - 0.001


def check_cameras(c: Shaped[Array | np.ndarray, '...']) -> None:
  """Check cameras given from outside.

  Args:
    c: what should be EG3D's 25 numbers of each, [B, 25].

  Raises:
    ValueError: another shape, or numbers that are not finite.
  """
  c = np.asarray(c)
  if c.ndim != 2 or c.shape[1] != 25:
    raise ValueError(
      f'cameras are 25 numbers each, [B, 25], got an array of shape {c.shape}'
    )
  if bad := np.flatnonzero(~np.isfinite(c).all(1)).tolist():
    raise ValueError(f'camera {bad[0]} holds numbers that are not finite')


def swap_cameras(
  rng: Array, c: Float[Array, 'b 25'], probability: float | Float[Array, '']
) -> tuple[Float[Array, 'b 25'], Bool[Array, 'b']]:
  """Show the mapping another sample's camera now and then.

  Keeps the generator from drawing what only the conditioning camera sees
  (section 4.4 of the paper). Each sample draws for itself.

  Args:
    rng: key.
    c: cameras that the samples are rendered from.
    probability: of the camera of the sample before.

  Returns:
    Cameras for `EG3D.map`, and which of them were swapped.
  """
  swapped = jax.random.uniform(rng, (c.shape[0],)) < probability
  return jnp.where(swapped[:, None], jnp.roll(c, 1, 0), c), swapped


class EG3D(nn.Module):
  """Generates scenes and renders them."""

  config: EG3DConfig

  def setup(self):
    """Create the networks."""
    config = self.config
    self.backbone = stylegan2.Generator(config.backbone)
    self.superresolution = superresolution_lib.SuperResolution(
      config.superresolution, config.features
    )
    self.decoder = Decoder(
      config.hidden_features, config.features, config.decoder_lr_multiplier
    )

  def map(
    self,
    z: Float[Array, 'b z'],
    c: Float[Array, 'b 25'],
    *,
    truncation_psi: float | None = None,
    truncation_cutoff: int | None = None,
  ) -> Float[Array, 'b n d']:
    """Map latents.

    Args:
      z: latents, standard normal.
      c: cameras that condition the scene; not those it is rendered from,
        where `swap_cameras` changed them.
      truncation_psi: see `mapping.truncate`; None for no truncation.
      truncation_cutoff: see `mapping.truncate`.

    Returns:
      Copies of w.
    """
    config = self.config
    scale = 0.0 if config.zero_condition else config.condition_scale
    return self.backbone.map(
      z,
      c * scale,
      truncation_psi=truncation_psi,
      truncation_cutoff=truncation_cutoff,
    )

  def styles(self, ws: Float[Array, 'b n d']) -> synthesis_lib.Styles:
    """Return the styles of 'backbone' and 'superresolution'."""
    return {
      'backbone': self.backbone.styles(ws),
      'superresolution': self.superresolution.styles(ws),
    }

  def planes(
    self,
    styles: synthesis_lib.Styles,
    *,
    noise: synthesis_lib.Noise = 'const',
  ) -> Float[Array, 'b 3 r r c']:
    """Return the planes of scenes.

    Args:
      styles: of `styles`; those of 'backbone' count.
      noise: see `synthesis.Noise`.
    """
    image = self.backbone.from_styles(styles['backbone'], noise=noise)
    batch, side, _, channels = image.shape
    planes = image.reshape(batch, side, side, 3, channels // 3)
    return planes.transpose(0, 3, 1, 2, 4)

  def field(
    self, planes: Float[Array, 'b 3 r r c'], points: Float[Array, 'b p 3']
  ) -> tuple[Float[Array, 'b p'], Float[Array, 'b p f']]:
    """Evaluate scenes at points.

    Args:
      planes: of `planes`.
      points: in the world, the scene is a cube of side `config.volume.box`.

    Returns:
      Raw densities (before the softplus), and features in about [0, 1].
    """
    config = self.config
    features = triplane.mean_features(
      planes, points, box=config.volume.box, plane_axes=config.plane_axes
    )
    return self.decoder(features)

  def trace(
    self,
    planes: Float[Array, 'b 3 r r c'],
    c: Float[Array, 'b 25'],
    uniforms: rays_lib.Uniforms | None = None,
    *,
    resolution: int | None = None,
  ) -> volume_lib.Rendering:
    """Render features along the rays of cameras, with all samples.

    Args:
      planes: of `planes`.
      c: cameras.
      uniforms: random numbers; None for the middles of all intervals.
      resolution: side of the rendering, None for the config's.
    """
    side = resolution or self.config.rendering_resolution
    rays = rays_lib.camera_rays(camera_lib.from_vector25(c), side)
    return self.trace_rays(planes, rays, uniforms)

  def trace_rays(
    self,
    planes: Float[Array, 'b 3 r r c'],
    rays: rays_lib.Rays,
    uniforms: rays_lib.Uniforms | None = None,
  ) -> volume_lib.Rendering:
    """Render features along rays: of several cameras, or some of a picture's.

    Args:
      planes: of `planes`.
      rays: of each scene.
      uniforms: random numbers; None for the middles of all intervals.
    """
    config = self.config
    if uniforms is None:
      batch, count, _ = rays.origins.shape
      uniforms = rays_lib.centred_uniforms(
        batch, count, config.volume.coarse, config.volume.fine
      )
    return volume_lib.render(
      lambda points: self.field(planes, points), rays, uniforms, config.volume
    )

  def enlarge(
    self, features: Float[Array, 'b s s f'], styles: synthesis_lib.Styles
  ) -> Float[Array, 'b h h 3']:
    """Return the final images of rendered features.

    Args:
      features: of all channels.
      styles: of `styles`; those of 'superresolution' count.
    """
    return self.superresolution(features, styles['superresolution'])[0]

  def render(
    self,
    planes: Float[Array, 'b 3 r r c'],
    styles: synthesis_lib.Styles,
    c: Float[Array, 'b 25'],
    uniforms: rays_lib.Uniforms | None = None,
    *,
    resolution: int | None = None,
  ) -> Picture:
    """Make pictures of scenes.

    Args:
      planes: of `planes`.
      styles: of `styles`; those of 'superresolution' count.
      c: cameras.
      uniforms: random numbers; None for the middles of all intervals.
      resolution: side of the rendering, None for the config's.

    Returns:
      Images, depth and coverage.
    """
    rendering = self.trace(planes, c, uniforms, resolution=resolution)
    side = resolution or self.config.rendering_resolution
    as_image = lambda x: x.reshape(x.shape[0], side, side, -1)
    features = as_image(rendering.features)
    image, first = self.superresolution(features, styles['superresolution'])
    settings = self.config.superresolution
    in_place = not settings.enlarges and not settings.resizes(side)
    altered = in_place and self.config.volume.mode == 'parity'
    return Picture(
      image=image,
      image_raw=first if altered else features[..., :3],
      depth=as_image(rendering.depth),
      weights=as_image(rendering.coverage),
      features=features,
      styles=styles,
    )

  def synthesize(
    self,
    ws: Float[Array, 'b n d'],
    c: Float[Array, 'b 25'],
    uniforms: rays_lib.Uniforms | None = None,
    *,
    resolution: int | None = None,
    shifts: synthesis_lib.Styles | None = None,
    noise: synthesis_lib.Noise = 'const',
  ) -> Picture:
    """Make pictures of latents.

    Args:
      ws: copies of w.
      c: cameras.
      uniforms: see `render`.
      resolution: see `render`.
      shifts: added to the styles, see `synthesis.shift`.
      noise: of the backbone.

    Returns:
      Images, depth and coverage, and the styles they were made with.
    """
    styles = synthesis_lib.shift(self.styles(ws), shifts)
    planes = self.planes(styles, noise=noise)
    return self.render(planes, styles, c, uniforms, resolution=resolution)

  def __call__(
    self, z: Float[Array, 'b z'], c: Float[Array, 'b 25']
  ) -> Picture:
    """Make pictures of latents without chance, seen as conditioned."""
    return self.synthesize(self.map(z, c), c)
