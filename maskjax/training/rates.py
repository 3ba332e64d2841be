"""Learning rates by step."""

import optax


def trapezoid(
  top: float, steps: int, *, warmup: int = 0, decay: int = 0
) -> optax.Schedule:
  """Return a rate that warms up, stays, and falls linearly at the end.

  Args:
    top: rate between the rise and the fall.
    steps: number of steps of the whole run.
    warmup: first steps, in which the rate rises from 0; 0 for none.
    decay: last steps, in which the rate falls to 0; 0 for none.
  """
  schedules = [optax.linear_schedule(0.0, top, warmup)]
  schedules.append(optax.constant_schedule(top))
  boundaries = [warmup]
  if decay:
    schedules.append(optax.linear_schedule(top, 0.0, decay))
    boundaries.append(max(steps - decay, warmup))
  return optax.join_schedules(schedules, boundaries)
