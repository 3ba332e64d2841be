r"""Seconds of a step of the mask loop, and of its parts.

  python -m benchmarks.mask_step [--config=configs/mask.py] [--rounds=20]

The renderer (forward and backward), the guided denoiser and the whole step
are timed in turn, interleaved, and their medians printed; the first call of
each is the time to compile.
"""

import statistics
import time

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from maskjax.diffusion import model as model_lib
from maskjax.mask import (
  generate,
  renders,
  settings as mask_settings,
  step as step_lib,
  views,
)
from maskjax.training import (
  flags as flags_lib,
  parallel,
  settings as settings_lib,
)

_CONFIG = flags_lib.define_config('configs/mask.py')
_ROUNDS = flags.DEFINE_integer('rounds', 20, 'Timed calls of each part.')


def _parts(settings):
  """Return what is timed, as functions without arguments."""
  job = generate.prepare(settings, paint=False)
  model, count = job.guide.model, settings.views.count
  tx = step_lib.optimizer(job.surface, settings)
  devices = parallel.usable_devices(count)
  step = generate.build_step(job.surface, settings)
  state = parallel.replicate(
    step_lib.create_state(job.start.params, tx), devices=devices
  )
  guide = parallel.replicate(job.guide, devices=devices)
  keys = jax.random.split(jax.random.key(0), count)
  drawn = jax.vmap(lambda key: views.draw(key, settings.views))(keys)
  size = model.sample_size
  behind = jnp.full((count, size, size, 3), 0.5)

  @jax.jit
  def render(params):
    def total(params):
      image, _ = renders.render_views(
        job.surface, params, drawn, behind, settings
      )
      return jnp.sum(image.rgb**2)

    return jax.grad(total)(params)

  x_t = model_lib.encode_images(model, behind)
  text = job.guide.texts[:count]

  @jax.jit
  def denoise(model, x_t):
    return model_lib.predict_guided(
      model,
      x_t,
      jnp.full((count,), 500),
      text,
      text,
      guidance_scale=5.0,
      condition=jnp.zeros((count, size, size, 5))
      if settings.condition.normal_percentage
      else None,
    )

  numbers = np.arange(count, dtype=np.int32)
  return {
    'renderer, forward and backward': lambda: render(job.start.params),
    'denoiser, guided': lambda: denoise(model, x_t),
    'whole step': lambda: step(state, jax.random.key(1), numbers, guide),
  }


def main(argv: list[str]) -> None:
  """Time and print."""
  del argv
  asked = settings_lib.read(mask_settings.MaskSettings, _CONFIG.value)
  parts = _parts(asked)
  seconds: dict[str, list[float]] = {name: [] for name in parts}
  for _ in range(_ROUNDS.value + 1):
    for name, call in parts.items():
      began = time.perf_counter()
      jax.block_until_ready(call())
      seconds[name].append(time.perf_counter() - began)
  print(f'{_CONFIG.value.views.count} views on {jax.device_count()} device(s)')
  print(f'{"part":32} {"first call":>10} {"median":>8} {"least":>8}   (s)')
  for name, (first, *rest) in seconds.items():
    middle = statistics.median(rest)
    print(f'{name:32} {first:10.2f} {middle:8.3f} {min(rest):8.3f}')


if __name__ == '__main__':
  flags_lib.run(main)
