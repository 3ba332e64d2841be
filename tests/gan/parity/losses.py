"""Compares losses and their gradients with goldens of the reference.

A file `X_loss.npz` holds one batch and, for each case and phase of a training
step, the random draws in the reference's order, what it logged, and the
gradients. What a case does follows from its name, unless `meta` says it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.gan import (
  draws as draws_lib,
  fakes,
  losses,
  model as model_lib,
  restore,
  state_configs,
)
from maskjax.render.volume import rays as rays_lib
from maskjax.training import state as state_lib
from tests.gan.parity import (
  gradients as gan_parity_gradients,
  rows as golden_rows,
)
from tests.gan.parity.rows import channels_last

Row = golden_rows.Row
Golden = golden_rows.Golden

# Blur in pixels and probability of swapped cameras (None: no condition).
_CASES: dict[str, dict[str, Any]] = {
  'start': {'blur_sigma': 10.0, 'swapping_prob': 1.0},
  'late': {'blur_sigma': 0.0, 'swapping_prob': 0.5},
  'late_noswap': {'blur_sigma': 0.0, 'swapping_prob': None},
  # Half of the way from 1 to 0.5.
  'fade': {'blur_sigma': 0.0, 'swapping_prob': 0.75},
}
_DEFAULTS = {'r1_gamma': 1.0, 'gain': 1.0, 'w_avg_beta': 0.998}
_INPUTS = r'z|c|real|.*/rng\d+_\w+|.*/grad_names'
# Which probability of swapping a case without a name of its own starts with.
_WORDS = 'start, late, late_noswap, fade'


class _Setting(NamedTuple):
  """One case: networks, batch and options."""

  golden: Golden
  case: str
  generator: model_lib.Model
  discriminator: model_lib.Model
  options: Mapping[str, Any]
  resolution: int

  @property
  def blur(self) -> float | None:
    """Blur in pixels, None for none."""
    return self.options['blur_sigma'] or None

  @property
  def swap(self) -> float | None:
    """Probability of swapped cameras; None without condition."""
    return self.options['swapping_prob']

  def draws(self, phase: str) -> Iterator[Any]:
    """Yield the recorded draws of a phase in order."""
    names = [
      name
      for name in self.golden.arrays
      if name.startswith(f'{self.case}/{phase}/rng')
    ]
    number = lambda name: int(name.rsplit('/rng', 1)[1].split('_')[0])
    return (
      jnp.asarray(self.golden[name]) for name in sorted(names, key=number)
    )


def _options(golden: Golden, case: str, forward: Golden) -> dict[str, Any]:
  """Return the options of a case."""
  own = {**_DEFAULTS, **_CASES.get(case, {})}
  for source in (golden.meta, golden.meta.get(case, {})):
    known = ('blur_sigma', 'swapping_prob', *_DEFAULTS)
    own |= {key: source[key] for key in known if key in source}
  if 'swapping_prob' not in own:
    raise ValueError(
      f'{golden.name}: what the case {case!r} does is not known; its name is '
      f'not one of {_WORDS}, and meta does not say'
    )
  kwargs = forward.meta['rendering_kwargs']
  own['density_reg'] = kwargs.get('density_reg', 0.25)
  own['distance'] = kwargs.get('density_reg_p_dist', 0.004)
  return own


def _resolution(golden: Golden, case: str, default: int) -> int:
  """Read the side of the raw rendering off the recorded draws."""
  for phase in ('Gmain', 'Dmain', 'Dboth', 'Gboth'):
    prefix = f'{case}/{phase}/rng'
    for name, value in golden.arrays.items():
      if name.startswith(prefix) and name.endswith('rand_like'):
        return round(value.shape[1] ** 0.5)
  return default


def _noise(draws: Iterator[Any], generator: model_lib.Model) -> Any:
  """Take the noise images of the backbone."""
  backbone = generator.module.config.backbone
  noise: dict[str, dict[str, Any]] = {}
  for i in range(len(backbone.channels)):
    for layer in ('conv0', 'conv1') if i else ('conv1',):
      noise.setdefault(f'b{4 << i}', {})[layer] = channels_last(next(draws))
  return noise


def _draws(setting: _Setting, phase: str) -> draws_lib.Draws:
  """Return the recorded numbers of one pass through the generator."""
  draws = setting.draws(phase)
  swap = None if setting.swap is None else next(draws)[:, 0]
  noise = _noise(draws, setting.generator)
  jitter = next(draws)[..., 0]
  fine = next(draws).reshape(*jitter.shape[:2], -1)
  return draws_lib.Draws(
    swap=swap, noise=noise, uniforms=rays_lib.Uniforms(jitter, fine)
  )


def _density_draws(setting: _Setting) -> draws_lib.DensityDraws:
  """Return the recorded numbers of the density regularisation."""
  draws = setting.draws('Greg')
  swap = None if setting.swap is None else next(draws)
  points, steps, _ = next(draws), next(draws), next(draws)
  return draws_lib.DensityDraws(
    swap=swap,
    points=points,
    steps=steps,
    noise=_noise(draws, setting.generator),
  )


def _generate(setting: _Setting, phase: str, params: Any):
  """Make the images of a phase, as they are shown."""
  model, golden = setting.generator, setting.golden
  images, ws = fakes.of_scenes(
    model.module,
    {**model.variables, 'params': params},
    golden['z'],
    jnp.asarray(golden['c']),
    _draws(setting, phase),
    swap_probability=setting.swap or 0.0,
    resolution=setting.resolution,
  )
  return losses.view(images, blur_sigma=setting.blur), ws


def _discriminate(setting: _Setting, params: Any, images: fakes.Images):
  """Return logits."""
  return losses.discriminate(
    setting.discriminator.module,
    {'params': params},
    images,
    jnp.asarray(setting.golden['c']),
  )


def _real(setting: _Setting) -> fakes.Images:
  """Return the real images as they are shown."""
  images = losses.real_images(
    jnp.asarray(channels_last(setting.golden['real'])),
    resolution=setting.resolution,
    blur_sigma=setting.blur,
  )
  return losses.view(images, blur_sigma=setting.blur)


def _generator_main(setting: _Setting):
  def loss(params):
    images, _ = _generate(setting, 'Gmain', params)
    judge = setting.discriminator.variables['params']
    logits = _discriminate(setting, judge, images)
    value = losses.logistic(logits)
    reports = {
      'Loss_scores_fake': logits,
      'Loss_signs_fake': jnp.sign(logits),
      'Loss_G_loss': value,
    }
    return value.mean() * setting.options['gain'], reports

  return loss, setting.generator.variables['params']


def _generator_regularization(setting: _Setting):
  model, golden = setting.generator, setting.golden

  def loss(params):
    value = losses.density_variation(
      model.module,
      {**model.variables, 'params': params},
      golden['z'],
      jnp.asarray(golden['c']),
      _density_draws(setting),
      distance=setting.options['distance'],
      swap_probability=setting.swap or 0.0,
    )
    weight = setting.options['density_reg'] * setting.options['gain']
    return value * weight, {}

  return loss, model.variables['params']


def _discriminator_main(setting: _Setting):
  own = setting.generator.variables
  images, ws = _generate(setting, 'Dmain', own['params'])
  w_avg = own['buffers']['backbone']['mapping']['w_avg']
  moved = state_lib.update_average(
    w_avg, ws[:, 0].mean(0), decay=setting.options['w_avg_beta']
  )

  def loss(params):
    fake = _discriminate(setting, params, images)
    real = _discriminate(setting, params, _real(setting))
    for_fake, for_real = losses.logistic(-fake), losses.logistic(real)
    reports = {
      'Loss_scores_fake': fake,
      'Loss_signs_fake': jnp.sign(fake),
      'Loss_scores_real': real,
      'Loss_signs_real': jnp.sign(real),
      'Loss_D_loss': for_fake + for_real,
      'w_avg_after': moved,
    }
    value = for_fake.mean() + for_real.mean()
    return value * setting.options['gain'], reports

  return loss, setting.discriminator.variables['params']


def _discriminator_regularization(setting: _Setting):
  def loss(params):
    squares, real = losses.r1_penalty(
      lambda images: _discriminate(setting, params, images), _real(setting)
    )
    value = squares * (setting.options['r1_gamma'] / 2)
    reports = {
      'Loss_scores_real': real,
      'Loss_signs_real': jnp.sign(real),
      'Loss_r1_penalty': squares,
      'Loss_D_reg': value,
    }
    return value.mean() * setting.options['gain'], reports

  return loss, setting.discriminator.variables['params']


_PHASES = {
  'Gmain': _generator_main,
  'Greg': _generator_regularization,
  'Dmain': _discriminator_main,
  'Dreg': _discriminator_regularization,
}


def check_phase(setting: _Setting, phase: str) -> Iterator[Row]:
  """Compare one phase of one case: what was logged, and the gradients."""
  golden, name = setting.golden, f'{setting.case}/{phase}'

  def run(arrays):
    own = setting._replace(
      golden=Golden(golden.name, arrays, golden.meta, golden.noise)
    )
    loss, params = _PHASES[phase](own)
    return jax.grad(loss, has_aux=True)(params)

  moving = {
    key: value
    for key, value in golden.arrays.items()
    if key in ('z', 'c', 'real') or key.startswith(f'{name}/rng')
  }
  gradients, reports = golden_rows.exact_jit(run)(moving)
  label = lambda key: key if key == 'w_avg_after' else f'report/{key}'
  ours = {f'{name}/{label(key)}': value for key, value in reports.items()}
  yield from golden_rows.compare_known(golden, ours)
  yield from gan_parity_gradients.check_tree(golden, name, gradients)


def check(
  golden: Golden,
  forward: Golden,
  generator: model_lib.Model,
  state: Mapping[str, np.ndarray],
) -> Iterator[Row]:
  """Compare every phase of every case.

  Args:
    golden: X_loss.npz.
    forward: X_forward.npz.
    generator: of the set.
    state: of its discriminator.

  Yields:
    A row for each array.
  """
  judge = restore.restore(state_configs.discriminator_config(state), state)
  rows: list[Row] = []
  cases = {name.split('/')[0]: None for name in golden.arrays if '/' in name}
  for case in cases:
    setting = _Setting(
      golden,
      case,
      generator,
      judge,
      _options(golden, case, forward),
      _resolution(golden, case, generator.module.config.rendering_resolution),
    )
    for phase in _PHASES:
      if golden.under(f'{case}/{phase}/'):
        for row in check_phase(setting, phase):
          rows.append(row)
          yield row
  yield from golden_rows.left_out(golden, rows, _INPUTS)
