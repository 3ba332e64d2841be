"""Volume rendering of a field of density and features along rays.

A coarse pass finds where there is something, a fine pass samples there, and
all samples together make the picture. Only densities and depths are sorted:
a feature counts with half the weight of the interval before it and half of
the one after it, and these halves are brought back to the samples' own order,
so that features are never moved.

Shapes: B images, R rays, D coarse, M fine and S = D + M samples of a ray, T =
S - 1 intervals, C features. Follows Chan et al., "Efficient Geometry-aware 3D
GANs", CVPR 2022, section 3.2 and its code, Mildenhall et al., "NeRF", ECCV
2020, and Max, "Optical Models for Direct Volume Rendering", 1995, for the
quadrature.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, Literal, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from maskjax.kernels import permutation
from maskjax.render.volume import rays as rays_lib
from maskjax.training import settings as settings_lib

# From points [B, N, 3] to raw densities [B, N] and features [B, N, C].
Field = Callable[
  [Float[Array, 'b n 3']],
  tuple[Float[Array, 'b n'], Float[Array, 'b n c']],
]
Mode = Literal['parity', 'clean']
# Samples of a ray up to which counting is faster than sorting.
_COUNTED = 48

_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class VolumeConfig:
  """How a volume is sampled.

  Attributes:
    coarse: samples of the first pass.
    fine: samples of the second pass, 0 for none.
    start: depth where rays start; None, together with `end`, for where they
      meet the box.
    end: depth where rays end.
    box: side of the cube around the origin that holds the scene.
    disparity: space coarse samples evenly in 1 / depth.
    white_background: white where nothing is, rather than black.
    mode: 'parity' computes what the reference does; 'clean' keeps rays apart:
      neither the depth of a ray that meets nothing nor the limits of one that
      misses the box depend on other rays.
  """

  coarse: int = _number(2, 4096, default=48)
  fine: int = _number(0, 4096, default=48)
  start: float | None = _number(-1e6, 1e6, default=2.25)
  end: float | None = _number(-1e6, 1e6, default=3.3)
  box: float = _number(1e-6, 1e6, default=1.0)
  disparity: bool = False
  white_background: bool = False
  mode: Mode = 'parity'

  def __post_init__(self) -> None:
    if self.mode not in ('parity', 'clean'):
      raise ValueError(f"mode={self.mode!r} is not 'parity' or 'clean'")
    if (self.start is None) != (self.end is None):
      raise ValueError('give both start and end of the rays, or neither')
    if (self.coarse < 4 and self.fine) or self.coarse < 2 or self.fine < 0:
      raise ValueError(
        f'{self.coarse} coarse and {self.fine} fine samples are too few: a '
        'fine pass needs 4 coarse samples, a coarse pass alone 2'
      )


class Samples(NamedTuple):
  """Samples of one pass.

  Attributes:
    depths: along the rays.
    densities: raw, before the softplus.
    features: at the samples.
  """

  depths: Float[Array, 'b r d']
  densities: Float[Array, 'b r d']
  features: Float[Array, 'b r d c']


class Rendering(NamedTuple):
  """What rays see.

  Attributes:
    features: in [-1, 1] for features in [0, 1].
    depth: mean depth, within the range of the samples.
    weights: share of each interval between samples, in order of depth.
    depths: of all samples, in order.
    coarse: samples of the first pass.
    coarse_weights: shares of the intervals of the first pass.
    fine: samples of the second pass; None without one.
  """

  features: Float[Array, 'b r c']
  depth: Float[Array, 'b r 1']
  weights: Float[Array, 'b r t']
  depths: Float[Array, 'b r s']
  coarse: Samples
  coarse_weights: Float[Array, 'b r d']
  fine: Samples | None

  @property
  def coverage(self) -> Float[Array, 'b r 1']:
    """Share of a ray's light that comes from the scene."""
    return self.weights.sum(-1, keepdims=True)


def march(
  depths: Float[Array, 'b r s'],
  densities: Float[Array, 'b r s'],
  *,
  mode: Mode = 'parity',
) -> Float[Array, 'b r t']:
  """Return the share of light from each interval between samples.

  Args:
    depths: depths of the samples, increasing along a ray.
    densities: raw densities at the samples; the density of an interval is
      softplus(mean - 1).
    mode: 'parity' rounds like the reference, which loses digits of the thin
      and adds 1e-10 to what passes an interval; 'clean' does neither.

  Returns:
    (1 - exp(-x_i)) exp(-sum of x_j for j < i), x being optical depths.
  """
  # NeRF, equations 3 and 5: w_i = T_i (1 - exp(-sigma_i delta_i)), with T_i =
  # exp(-sum_{j < i} sigma_j delta_j); EG3D takes sigma between samples.
  middle = (densities[..., :-1] + densities[..., 1:]) / 2
  optical = jax.nn.softplus(middle - 1) * (depths[..., 1:] - depths[..., :-1])
  if mode == 'clean':
    share, log_kept = -jnp.expm1(-optical), -optical
  else:
    share = 1 - jnp.exp(-optical)
    log_kept = jnp.log(1 - share + 1e-10)
  before = jnp.cumsum(log_kept, -1)[..., :-1]
  before = jnp.concatenate([jnp.zeros_like(optical[..., :1]), before], -1)
  return share * jnp.exp(before)


def mean_depth(
  depths: Float[Array, 'b r s'],
  weights: Float[Array, 'b r t'],
  *,
  mode: Mode = 'parity',
) -> Float[Array, 'b r 1']:
  """Return the mean depth of what a ray sees.

  Args:
    depths: depths of the samples, increasing along a ray.
    weights: shares of the intervals between them, from `march`.
    mode: 'parity' limits the depth to the range of all samples of the batch,
      'clean' to the range of the ray's own.

  Returns:
    Depths; the far limit for a ray that meets nothing.
  """
  middle = (depths[..., :-1] + depths[..., 1:]) / 2
  total = weights.sum(-1, keepdims=True)
  seen = total > 0
  mean = (weights * middle).sum(-1, keepdims=True)
  mean = jnp.where(seen, mean / jnp.where(seen, total, 1.0), jnp.inf)
  if mode == 'clean':
    return jnp.clip(mean, depths[..., :1], depths[..., -1:])
  return jnp.clip(mean, depths.min(), depths.max())


def _of_samples(weights: Float[Array, 'b r t']) -> Float[Array, 'b r s']:
  """Share the weights of intervals between the samples at their ends."""
  zero = jnp.zeros_like(weights[..., :1])
  before = jnp.concatenate([zero, weights], -1)
  after = jnp.concatenate([weights, zero], -1)
  return (before + after) / 2


def composite(
  weights: Float[Array, 'b r s'], features: Float[Array, 'b r s c']
) -> Float[Array, 'b r c']:
  """Sum features by the weights of samples (equation 3 of NeRF).

  Args:
    weights: shares of the samples, see `_of_samples`.
    features: at the samples.
  """
  return jnp.einsum(
    'brs,brsc->brc', weights, features, precision=lax.Precision.HIGHEST
  )


def _finish(
  features: Float[Array, 'b r c'],
  weights: Float[Array, 'b r t'],
  white_background: bool,
) -> Float[Array, 'b r c']:
  """Add the background and bring [0, 1] to [-1, 1]."""
  if white_background:
    features = features + 1 - weights.sum(-1, keepdims=True)
  return 2 * features - 1


def integrate(
  samples: Samples, *, white_background: bool = False, mode: Mode = 'parity'
) -> tuple[Float[Array, 'b r c'], Float[Array, 'b r 1'], Float[Array, 'b r t']]:
  """Render samples that are in order.

  Args:
    samples: samples of one pass, or of several, in order of depth.
    white_background: whether it is white where nothing is, rather than black.
    mode: 'parity' or 'clean', see `mean_depth`.

  Returns:
    Features, depth and weights, as in `Rendering`.
  """
  weights = march(samples.depths, samples.densities, mode=mode)
  features = composite(_of_samples(weights), samples.features)
  depth = mean_depth(samples.depths, weights, mode=mode)
  return _finish(features, weights, white_background), depth, weights


def _ranks(
  depths: Float[Array, 'b r s'],
) -> tuple[Int[Array, 'b r s'], Int[Array, 'b r s']]:
  """Return the numbers of samples in order, and each one's place in it.

  Few samples are counted against each other: on a CPU that takes a twentieth
  of the time of a sort.
  """
  count = depths.shape[-1]
  if count > _COUNTED:
    order = jnp.argsort(depths, -1)
    return order, jnp.argsort(order, -1)
  numbers = jnp.arange(count, dtype=jnp.int32)
  one, other = depths[..., :, None], depths[..., None, :]
  first = (numbers[None, :] < numbers[:, None])[None, None]
  before = (other < one) | ((other == one) & first)
  rank = before.sum(-1, dtype=jnp.int32)
  here = rank[..., None, :] == numbers[None, None, :, None]
  return jnp.where(here, numbers[None, None, None], 0).sum(-1), rank


def merge(first: Samples, second: Samples) -> Samples:
  """Bring the samples of two passes into one order.

  Args:
    first: samples of one pass.
    second: samples of another.

  Returns:
    All of them by depth; equally deep ones in the order of the arguments.
  """
  joined = Samples(
    jnp.concatenate([first.depths, second.depths], -1),
    jnp.concatenate([first.densities, second.densities], -1),
    jnp.concatenate([first.features, second.features], -2),
  )
  order, rank = _ranks(joined.depths)
  return Samples(
    permutation.permute(joined.depths, order, rank),
    permutation.permute(joined.densities, order, rank),
    jnp.take_along_axis(joined.features, order[..., None], -2),
  )


def _integrate_both(
  first: Samples, second: Samples, *, white_background: bool, mode: Mode
) -> tuple[
  Float[Array, 'b r c'],
  Float[Array, 'b r 1'],
  Float[Array, 'b r t'],
  Float[Array, 'b r s'],
]:
  """Do what `integrate` does with `merge`, without moving features.

  Returns:
    What `integrate` returns, and the depths of all samples in order.
  """
  depths = jnp.concatenate([first.depths, second.depths], -1)
  densities = jnp.concatenate([first.densities, second.densities], -1)
  order, rank = _ranks(depths)
  depths = permutation.permute(depths, order, rank)
  weights = march(
    depths, permutation.permute(densities, order, rank), mode=mode
  )
  own = permutation.permute(_of_samples(weights), rank, order)
  count = first.depths.shape[-1]
  features = composite(own[..., :count], first.features)
  features = features + composite(own[..., count:], second.features)
  depth = mean_depth(depths, weights, mode=mode)
  return _finish(features, weights, white_background), depth, weights, depths


def _sample(
  field: Field, rays: rays_lib.Rays, depths: Float[Array, 'b r d']
) -> Samples:
  """Evaluate the field at depths along rays."""
  batch, count, steps = depths.shape
  points = rays.origins[:, :, None] + (
    depths[..., None] * rays.directions[:, :, None]
  )
  densities, features = field(points.reshape(batch, -1, 3))
  return Samples(
    depths,
    densities.reshape(batch, count, steps),
    features.reshape(batch, count, steps, -1),
  )


def _limits(
  rays: rays_lib.Rays, config: VolumeConfig
) -> tuple[float | Float[Array, 'b r'], float | Float[Array, 'b r']]:
  """Return where rays start and end."""
  if config.start is not None and config.end is not None:
    return config.start, config.end
  near, far = rays_lib.box_limits(rays, config.box)
  if config.mode == 'parity':
    return rays_lib.fill_missing(near, far)
  # A ray that misses the box samples the sphere around it.
  reach = config.box * 3**0.5 / 2
  nearest = -(rays.origins * rays.directions).sum(-1)
  hit = far > near
  return (
    jnp.where(hit, near, nearest - reach),
    jnp.where(hit, far, nearest + reach),
  )


def render(
  field: Field,
  rays: rays_lib.Rays,
  uniforms: rays_lib.Uniforms,
  config: VolumeConfig,
) -> Rendering:
  """Render a field.

  Args:
    field: gives density and features at points.
    rays: the rays to render.
    uniforms: random numbers, as many as `config` has samples; those of
      `rays.centred_uniforms` for a rendering without chance.
    config: how the volume is sampled.

  Returns:
    What the rays see. Gradients reach the field, not the depths of samples.

  Raises:
    ValueError: not as many random numbers as samples.
  """
  counts = uniforms.jitter.shape[-1], uniforms.fine.shape[-1]
  if counts != (config.coarse, config.fine):
    raise ValueError(
      f'{counts} uniforms for {config.coarse} coarse and {config.fine} fine '
      'samples of a ray'
    )
  start, end = _limits(rays, config)
  depths = rays_lib.stratified_depths(
    start, end, uniforms.jitter, disparity=config.disparity
  )
  coarse = _sample(field, rays, depths)
  options: dict[str, Any] = {
    'white_background': config.white_background,
    'mode': config.mode,
  }
  if not config.fine:
    features, depth, weights = integrate(coarse, **options)
    return Rendering(
      features=features,
      depth=depth,
      weights=weights,
      depths=depths,
      coarse=coarse,
      coarse_weights=weights,
      fine=None,
    )
  coarse_weights = march(depths, coarse.densities, mode=config.mode)
  fine = _sample(
    field,
    rays,
    rays_lib.importance_depths(depths, coarse_weights, uniforms.fine),
  )
  features, depth, weights, depths = _integrate_both(coarse, fine, **options)
  return Rendering(
    features=features,
    depth=depth,
    weights=weights,
    depths=depths,
    coarse=coarse,
    coarse_weights=coarse_weights,
    fine=fine,
  )
