"""Rays of a camera, and where along them a volume is sampled.

Random numbers come in as uniforms, drawn by `draw_uniforms` or given by the
caller: nothing here holds a key, so a picture can be made twice.

Shapes: B cameras, R rays (pixels row by row), D samples of a ray, E = D + 1
edges. Lengths in the unit of the camera's position. Follows Chan et al.,
"Efficient Geometry-aware 3D GANs", CVPR 2022, section 3.2, and Mildenhall et
al., "NeRF", ECCV 2020, section 5.2.
"""

from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from maskjax.geometry import camera as camera_lib

_HIGHEST = lax.Precision.HIGHEST
# Probability below which a bin counts as empty.
_EPSILON = 1e-5


class Rays(NamedTuple):
  """Rays of several cameras.

  Attributes:
    origins: the cameras' positions.
    directions: unit vectors, world.
  """

  origins: Float[Array, 'b r 3']
  directions: Float[Array, 'b r 3']


class Uniforms(NamedTuple):
  """Random numbers of one rendering, in [0, 1).

  Attributes:
    jitter: place of each coarse sample in its interval.
    fine: quantiles of the fine samples.
  """

  jitter: Float[Array, 'b r d']
  fine: Float[Array, 'b r m']


def draw_uniforms(
  rng: PRNGKeyArray, batch: int, rays: int, coarse: int, fine: int
) -> Uniforms:
  """Draw the random numbers of a rendering.

  Every ray has a key of its own, by the number of its image and its own, so
  what it sees does not depend on the rays that are rendered with it.

  Args:
    rng: typed key, the source of the numbers.
    batch: number of images.
    rays: number of rays of each image.
    coarse: samples of the first pass along a ray.
    fine: samples of the second pass along a ray.
  """

  def draw(image: Int[Array, ''], ray: Int[Array, '']) -> Uniforms:
    own = jax.random.fold_in(jax.random.fold_in(rng, image), ray)
    for_jitter, for_fine = jax.random.split(own)
    return Uniforms(
      jax.random.uniform(for_jitter, (coarse,)),
      jax.random.uniform(for_fine, (fine,)),
    )

  over_rays = jax.vmap(draw, (None, 0))
  over_images = jax.vmap(over_rays, (0, None))
  return over_images(jnp.arange(batch), jnp.arange(rays))


def centred_uniforms(batch: int, rays: int, coarse: int, fine: int) -> Uniforms:
  """Return the middle of every interval: a rendering without chance.

  Args:
    batch: number of images.
    rays: number of rays of each image.
    coarse: samples of the first pass along a ray.
    fine: samples of the second pass along a ray.
  """
  middles = (jnp.arange(fine, dtype=jnp.float32) + 0.5) / max(fine, 1)
  return Uniforms(
    jnp.full((batch, rays, coarse), 0.5),
    jnp.broadcast_to(middles[None, None], (batch, rays, fine)),
  )


def camera_rays(camera: camera_lib.Camera, resolution: int) -> Rays:
  """Return the rays through the pixel centres of square images.

  Args:
    camera: batch of B cameras.
    resolution: side of the images in pixels.

  Returns:
    resolution^2 rays for each camera, row by row.
  """
  pose, intrinsics = camera.cam2world, camera.intrinsics
  places = (jnp.arange(resolution, dtype=pose.dtype) + 0.5) / resolution
  v, u = (
    grid.reshape(1, -1) for grid in jnp.meshgrid(places, places, indexing='ij')
  )
  entry = lambda i, j: intrinsics[:, i, j][:, None]
  y = (v - entry(1, 2)) / entry(1, 1)
  x = (u - entry(0, 2) - entry(0, 1) * y) / entry(0, 0)
  local = jnp.stack([x, y, jnp.ones_like(x)], -1)
  directions = jnp.einsum(
    'bij,brj->bri', pose[:, :3, :3], local, precision=_HIGHEST
  )
  # Never short: the component along the optical axis is 1.
  length = jnp.sqrt(jnp.square(directions).sum(-1, keepdims=True))
  origins = jnp.broadcast_to(pose[:, None, :3, 3], directions.shape)
  return Rays(origins=origins, directions=directions / length)


def box_limits(
  rays: Rays, side: float
) -> tuple[Float[Array, 'b r'], Float[Array, 'b r']]:
  """Return where rays enter and leave a cube around the origin.

  Args:
    rays: the rays; a direction parallel to a face is allowed.
    side: length of the cube's edges.

  Returns:
    Depths of entry and exit; -1 and -2 for rays that miss.
  """
  # Slabs: a ray is inside from the last of its three entries to the first of
  # its exits. Division by 0 gives infinities of the right sign.
  inverse = 1 / rays.directions
  low = (-side / 2 - rays.origins) * inverse
  high = (side / 2 - rays.origins) * inverse
  near = jnp.minimum(low, high).max(-1)
  far = jnp.maximum(low, high).min(-1)
  hit = near <= far
  return jnp.where(hit, near, -1.0), jnp.where(hit, far, -2.0)


def fill_missing(
  near: Float[Array, 'b r'], far: Float[Array, 'b r']
) -> tuple[Float[Array, 'b r'], Float[Array, 'b r']]:
  """Give rays that miss the box the range of depths at which others enter.

  That is the reference's range: it ends at the last *entry*.

  Args:
    near: depths of entry, from `box_limits`.
    far: depths of exit, from the same.
  """
  hit = far > near
  first = jnp.where(hit, near, jnp.inf).min()
  last = jnp.where(hit, near, -jnp.inf).max()
  some = hit.any()
  return (
    jnp.where(hit | ~some, near, first),
    jnp.where(hit | ~some, far, last),
  )


def stratified_depths(
  start: float | Float[Array, 'b r'],
  end: float | Float[Array, 'b r'],
  jitter: Float[Array, 'b r d'],
  *,
  disparity: bool = False,
) -> Float[Array, 'b r d']:
  """Place one sample in each interval along the rays.

  Sample i lies between i and i + 1 of D - 1 intervals: the last one may lie
  beyond the end, as in the reference.

  Args:
    start: depth of the first sample without jitter.
    end: depth of the last sample without jitter.
    jitter: part of an interval added to each sample, in [0, 1).
    disparity: space the samples evenly in 1 / depth.

  Returns:
    Depths, increasing along a ray.
  """
  count = jitter.shape[-1]
  steps = jnp.arange(count, dtype=jitter.dtype)
  shape = (1, 1, 1)
  start = jnp.asarray(start, jitter.dtype)
  end = jnp.asarray(end, jitter.dtype)
  start = start[..., None] if start.ndim else start.reshape(shape)
  end = end[..., None] if end.ndim else end.reshape(shape)
  if disparity:
    part = (steps[None, None] + jitter) / (count - 1)
    return 1 / (1 / start * (1 - part) + 1 / end * part)
  # Equation 2 of NeRF: one uniform draw from each of evenly spaced bins.
  interval = (end - start) / (count - 1)
  return start + steps[None, None] * interval + jitter * interval


def _bins_below(
  cumulative: Float[Array, 'b r e'], u: Float[Array, 'b r m']
) -> Int[Array, 'b r m']:
  """Return how many edges lie at or below each number."""
  below = cumulative[..., None, :] <= u[..., None]
  return below.sum(-1, dtype=jnp.int32)


def sample_pdf(
  edges: Float[Array, 'b r e'],
  weights: Float[Array, 'b r d'],
  u: Float[Array, 'b r m'],
) -> Float[Array, 'b r m']:
  """Sample a distribution that is constant between edges.

  Args:
    edges: increasing; one more than weights, or two: the last is not reached.
    weights: not negative, of the bins from the first edge on.
    u: quantiles in [0, 1].

  Returns:
    Samples.
  """
  weights = weights + _EPSILON
  # NeRF, below equation 5: weights made a distribution, and its inverse taken,
  # linear within a bin.
  density = weights / weights.sum(-1, keepdims=True)
  cumulative = jnp.cumsum(density, -1)
  zero = jnp.zeros_like(cumulative[..., :1])
  cumulative = jnp.concatenate([zero, cumulative], -1)
  above = _bins_below(cumulative, u)
  below = jnp.maximum(above - 1, 0)
  above = jnp.minimum(above, weights.shape[-1])
  take = lambda values, index: jnp.take_along_axis(values, index, -1)
  low, high = take(cumulative, below), take(cumulative, above)
  left, right = take(edges, below), take(edges, above)
  width = high - low
  width = jnp.where(width < _EPSILON, 1.0, width)
  return left + (u - low) / width * (right - left)


def importance_depths(
  depths: Float[Array, 'b r d'],
  weights: Float[Array, 'b r e'],
  u: Float[Array, 'b r m'],
) -> Float[Array, 'b r m']:
  """Place fine samples where the coarse ones found something.

  Weights are widened to their neighbours first (the larger of two, then the
  mean of two, Barron et al., "Mip-NeRF", ICCV 2021, section 3.1) and raised
  by 0.01.

  Args:
    depths: depths of the D coarse samples, increasing along a ray.
    weights: shares of the D - 1 intervals between them, from `volume.march`.
    u: quantiles in [0, 1] to place samples at.

  Returns:
    Depths, without gradient.
  """
  depths, weights = lax.stop_gradient((depths, weights))
  before = jnp.concatenate([weights[..., :1], weights], -1)
  after = jnp.concatenate([weights, weights[..., -1:]], -1)
  # Mip-NeRF's resampling: the mean of the maxima of neighbours, plus alpha.
  largest = jnp.maximum(before, after)
  smooth = (largest[..., :-1] + largest[..., 1:]) / 2 + 0.01
  edges = (depths[..., :-1] + depths[..., 1:]) / 2
  return sample_pdf(edges, smooth[..., 1:-1], u)
