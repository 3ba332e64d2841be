"""What changes with the number of images a training has seen.

Smooth numbers (blur, the chance that cameras are swapped) are computed on the
device. The side of the raw rendering changes shapes, so it moves through a few
fixed sides on the host, each of which compiles once.

Follows Chan et al., "Efficient Geometry-aware 3D GANs", CVPR 2022, sections
4.3 and 4.4 and supplement, and Karras et al., "Alias-Free GANs", NeurIPS 2021
(blur).
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# Images seen, on the host or on the device.
Count = float | Int[Array, ''] | Float[Array, '']


def progress(images_seen: Count, kimg: float) -> Float[Array, '']:
  """Return the part of a fade over thousands of images that is done, 0..1."""
  if kimg <= 0:
    return jnp.float32(1)
  seen = jnp.asarray(images_seen, jnp.float32)
  return jnp.clip(seen / (kimg * 1e3), 0.0, 1.0)


def blur_sigma(
  images_seen: Count, *, start: float, kimg: float
) -> Float[Array, '']:
  """Return the blur that the discriminator sees through, in pixels."""
  return (1 - progress(images_seen, kimg)) * start


def swap_probability(
  images_seen: Count, *, end: float, kimg: float
) -> Float[Array, '']:
  """Return how often the mapping sees another camera: from always to `end`."""
  done = progress(images_seen, kimg)
  return (1 - done) + done * end


def raw_resolution(
  images_seen: float,
  *,
  start: int,
  end: int,
  kimg: float,
  sides: Sequence[int] | None = None,
) -> int:
  """Return the side of the raw rendering, on the host.

  Args:
    images_seen: images shown to the discriminator so far.
    start: side at first.
    end: side at last.
    kimg: thousands of images that it takes.
    sides: those that may be used, each a compilation; the largest one that
      the schedule has reached is taken. None: every whole number, as the
      reference does.

  Returns:
    round((1 - x) start + x end), or the side below it.
  """
  done = min(max(images_seen / (kimg * 1e3), 0.0), 1.0) if kimg > 0 else 1.0
  side = round(start * (1 - done) + end * done)
  if sides is None:
    return side
  reached = [own for own in sorted(sides) if own <= side]
  return reached[-1] if reached else min(sides)


def ema_decay(
  images_seen: Count,
  batch: int,
  *,
  kimg: float,
  rampup: float | None = 0.05,
) -> Float[Array, '']:
  """Return the decay of the generator's average at a step.

  Args:
    images_seen: so far.
    batch: images of a step.
    kimg: thousands of images in which a weight halves its part.
    rampup: the half-life is at most this part of what was seen; None for none.

  Returns:
    0.5 ^ (batch / half-life).
  """
  half_life = jnp.float32(kimg * 1e3)
  if rampup is not None:
    seen = jnp.asarray(images_seen, jnp.float32)
    half_life = jnp.minimum(half_life, seen * rampup)
  return 0.5 ** (batch / jnp.maximum(half_life, 1e-8))
