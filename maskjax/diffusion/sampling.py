"""Draw samples from a diffusion model by one `lax.scan` over its timesteps.

Shapes: B samples, any trailing axes. See `solvers` for the steps.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from maskjax.diffusion import schedulers, solvers

METHODS = ('ddim', 'ddpm', 'dpmpp_2m', 'euler')

DenoiseFn = Callable[
  [Float[Array, 'b ...'], Num[Array, 'b']], Float[Array, 'b ...']
]


class Known(NamedTuple):
  """What is known of the samples, for painting in the rest.

  Attributes:
    clean: the clean samples.
    mask: 1 where they are to be painted, 0 where they are known; broadcast.
  """

  clean: Float[Array, 'b ...']
  mask: Float[Array, 'b ...']


def _initial_noise(
  key: Key[Array, ''] | None,
  shape: tuple[int, ...] | None,
  noise: Float[Array, 'b ...'] | None,
) -> Float[Array, 'b ...']:
  """The given noise, or noise of the given shape drawn from the key."""
  if noise is not None:
    if shape is not None and tuple(shape) != noise.shape:
      raise ValueError(f'noise is {noise.shape}, but shape says {shape}')
    return noise
  if key is None or shape is None:
    raise ValueError('sample: give a key and a shape, or noise')
  return jax.random.normal(key, shape)


def sample(
  denoise_fn: DenoiseFn,
  schedule: schedulers.NoiseSchedule,
  key: Key[Array, ''] | None,
  *,
  shape: tuple[int, ...] | None = None,
  noise: Float[Array, 'b ...'] | None = None,
  steps: int = 30,
  method: str = 'ddim',
  eta: float = 0.0,
  use_clipped_output: bool = False,
  known: Known | None = None,
  report: Callable[[int], None] | None = None,
) -> Float[Array, 'b ...']:
  """Denoise from pure noise to a clean sample.

  Args:
    denoise_fn: (x_t [B, ...], t [B]) -> the network's output in the
      schedule's prediction type, guidance included; t is int32, or float32
      where the schedule's spacing does not lead to whole timesteps.
    schedule: the noise schedule.
    key: random key; may be None where noise is given and the method draws
      none of its own ('ddim' with eta 0, 'euler', 'dpmpp_2m').
    shape: shape [B, ...] of the samples; not needed with noise.
    noise: standard normal start [B, ...]; None draws it from the key.
    steps: evaluations of denoise_fn.
    method: 'ddim', 'ddpm', 'dpmpp_2m' or 'euler'.
    eta: noise of 'ddim', 0 (none) to 1.
    use_clipped_output: 'ddim' only; see `solvers.ddim_step`.
    known: replaces, after every step, what is known by itself, noised as
      much as the rest.
    report: called on the host with the number of finished steps.

  Returns:
    Samples [B, ...] in the network's range.

  Raises:
    ValueError: unknown method, or neither noise nor key and shape.
  """
  if method not in METHODS:
    raise ValueError(f'method {method!r} is not one of {", ".join(METHODS)}')
  stochastic = method == 'ddpm' or (method == 'ddim' and eta > 0)
  if stochastic and key is None:
    raise ValueError(f'sample: method {method!r} draws noise, give a key')
  start_key, chain_key = (None, None) if key is None else jax.random.split(key)
  start = _initial_noise(start_key, shape, noise)
  chain = jnp.asarray(
    schedulers.timesteps(
      schedule,
      steps,
      endpoint=method != 'dpmpp_2m',
      whole=method != 'euler',
    )
  )

  def body(carry, inputs):
    x_t, x0_last = carry
    t, t_prev, t_last, index = inputs
    # DPM-Solver shows the network whole timesteps whatever the spacing.
    shown = jnp.round(t) if method == 'dpmpp_2m' else t
    output = denoise_fn(x_t, jnp.full(x_t.shape[:1], shown))
    fresh = None
    if stochastic:
      step_key = jax.random.fold_in(chain_key, index)
      fresh = jax.random.normal(step_key, x_t.shape, x_t.dtype)
    if method == 'dpmpp_2m':
      x_prev, x0_last = solvers.dpmpp_2m_step(
        schedule, x_t, output, t, t_prev, x0_last=x0_last, t_last=t_last
      )
    elif method == 'ddpm':
      x_prev = solvers.ddpm_step(schedule, x_t, output, t, t_prev, noise=fresh)
    elif method == 'euler':
      x_prev = solvers.euler_step(schedule, x_t, output, t, t_prev)
    else:
      x_prev = solvers.ddim_step(
        schedule,
        x_t,
        output,
        t,
        t_prev,
        eta=eta,
        noise=fresh,
        use_clipped_output=use_clipped_output,
      )
    if known is not None:
      at = schedulers.level(schedule, t_prev, x_t)
      noised = at.alpha * known.clean + at.sigma * start
      x_prev = known.mask * x_prev + (1 - known.mask) * noised
    if report is not None:
      jax.debug.callback(report, index + 1)
    return (x_prev, x0_last), None

  end = jnp.full((1,), -1, chain.dtype)
  inputs = (
    chain,
    jnp.concatenate([chain[1:], end]),
    jnp.concatenate([end, chain[:-1]]),
    jnp.arange(steps),
  )
  (x0, _), _ = jax.lax.scan(body, (start, jnp.zeros_like(start)), inputs)
  return x0
