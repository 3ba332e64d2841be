r"""Seconds of EG3D: synthesis, cached planes, inversion, training steps.

  python -m benchmarks.gan [--size=small] [--parts=R1,both] [--rounds=5] \
    [--out=gan.json]

"full" is the size of the models released for faces (512 pixels, 48 + 48
samples); "small" is 64 pixels rendered at 32 with 24 + 24 samples, 1.6 million
parameters a network, batches of 8. Each part is called once to compile and then
`rounds` times; the table has the median, the least, and the least time of all
cores together, which other programs on the machine disturb less. The last
column is the reference in PyTorch, measured once on two cores of an AMD EPYC:
it is there for orientation, not from the same run.

  python -m benchmarks.gan --train

times the whole training steps of the bundled source domain instead.
"""

from collections.abc import Callable
import dataclasses
import functools
import statistics
import time
from typing import Any

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import gan_training
from maskjax.gan import (
  adversarial,
  discriminator,
  draws as draws_lib,
  eg3d,
  fakes as fakes_lib,
  losses,
  model as model_lib,
  optimizers,
  poses,
  restore,
  stylegan2,
  superresolution,
  training,
)
from maskjax.render.volume import rays, volume
from maskjax.training import files, flags as flags_lib

_SIZE = flags.DEFINE_enum('size', 'all', ['all', 'small', 'full'], 'Which.')
_PARTS = flags.DEFINE_list('parts', [], 'Words of the parts; empty: all.')
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Timed calls of each part.')
_TRAIN = flags.DEFINE_bool('train', False, 'Time the source domain.')
_OUT = flags.DEFINE_string('out', None, 'JSON file for the numbers.')

_SMALL = eg3d.EG3DConfig(
  backbone=stylegan2.StyleGAN2Config(
    z_dim=128,
    c_dim=25,
    w_dim=128,
    channels=stylegan2.channel_schedule(64, 4096, 128),
    image_channels=96,
    mapping_layers=2,
  ),
  superresolution=superresolution.SuperResolutionConfig(
    kind='2X', input_resolution=32, channels=(64, 32)
  ),
  volume=volume.VolumeConfig(coarse=24, fine=24, mode='clean'),
  rendering_resolution=32,
)
_JUDGE = discriminator.DiscriminatorConfig(
  image_channels=6, c_dim=25, channels=stylegan2.channel_schedule(64, 4096, 128)
)
# Seconds of the reference in PyTorch, float32, by part.
_REFERENCE = {
  'full: picture, rendered at 128': 5.7,
  'full: picture, rendered at 64': 4.1,
  'full: picture of cached planes': 4.9,
  'full: inversion step': 14.7,
  'small: picture': 0.064,
  'small: 8 pictures': 0.54,
  'small: inversion step': 0.157,
  'small: generator update': 1.51,
  'small: discriminator update': 0.81,
  'small: density update': 0.28,
  'small: R1 update': 0.49,
  'small: both networks': 2.34,
}
# Of StyleGAN2, separable.
_FILTER = np.array([1, 3, 3, 1]) / 8
Call = Callable[[], Any]


def _model(seed: int, config: Any) -> model_lib.Model:
  """Return a network with random weights, made without compiling anything."""
  rng = np.random.default_rng(seed)
  state = {
    key: rng.standard_normal(x.shape, np.float32)
    for key, x in restore.state_shapes(config).items()
  }
  for key in state:
    if key.endswith('resample_filter'):
      state[key] = np.outer(_FILTER, _FILTER).astype(np.float32)
  return restore.restore(config, state)


def _cameras(count: int) -> jax.Array:
  """Return cameras around the front."""
  pose = poses.sample(jax.random.key(2), count).reshape(count, 16)
  intrinsics = poses.intrinsics(jnp.full((count,), 18.837))
  return jnp.concatenate([pose, intrinsics.reshape(count, 9)], -1)


def _synthesis(
  model: model_lib.Model, count: int, side: int
) -> dict[str, Call]:
  """Return pictures from w, from planes, and a step of inversion."""
  config, c = model.module.config, _cameras(count)
  counts = config.volume.coarse, config.volume.fine
  uniforms = rays.draw_uniforms(jax.random.key(4), count, side**2, *counts)
  generator, variables = model
  z = jax.random.normal(jax.random.key(3), (count, config.backbone.z_dim))
  ws = jax.jit(lambda v: model_lib.run(v, generator.map, z, c))(variables)

  @jax.jit
  def picture(variables, ws, c, uniforms):
    return model_lib.run(
      variables, generator.synthesize, ws, c, uniforms, resolution=side
    ).image

  @jax.jit
  def scene(variables, ws):
    styles = model_lib.run(variables, generator.styles, ws)
    return model_lib.run(variables, generator.planes, styles), styles

  @jax.jit
  def cached(variables, planes, styles, c, uniforms):
    return model_lib.run(
      variables, generator.render, planes, styles, c, uniforms, resolution=side
    ).image

  tx = optax.adam(0.01)

  @jax.jit
  def invert(variables, ws, moments, target):
    def loss(ws):
      return jnp.square(picture(variables, ws, c, uniforms) - target).mean()

    updates, moments = tx.update(jax.grad(loss)(ws), moments)
    return optax.apply_updates(ws, updates), moments

  made = {}

  def planes():
    if 'planes' not in made:
      made['planes'] = scene(variables, ws)
    return made['planes']

  target = jnp.zeros((count, *(config.superresolution.output_side,) * 2, 3))
  return {
    'picture': lambda: picture(variables, ws, c, uniforms),
    'cached': lambda: cached(variables, *planes(), c, uniforms),
    'invert': lambda: invert(variables, ws, tx.init(ws), target),
  }


def _training(
  generator: model_lib.Model, judge: model_lib.Model
) -> dict[str, Call]:
  """Return the updates of a training, of batches of 8."""
  batch = adversarial.GANBatch(
    image=jax.random.uniform(jax.random.key(5), (8, 64, 64, 3), minval=-1.0),
    c=_cameras(8),
    fake_c=_cameras(8),
  )
  plain = adversarial.GANConfig(
    r1_gamma=0.0, density_weight=0.0, blur_sigma=0.0
  )

  def whole(config):
    state = optimizers.first_state(generator, judge, config)
    step = jax.jit(
      training.make_gan_step(generator.module, judge.module, config)
    )
    return lambda: step(state, jax.random.key(6), batch)

  params, variables = judge.variables['params'], generator.variables
  z = jax.random.normal(jax.random.key(7), (8, 128))

  def draws(rng):
    return draws_lib.for_scenes(generator.module, jax.random.split(rng, 8))

  def fakes(variables, rng):
    return fakes_lib.of_scenes(
      generator.module, variables, z, batch.fake_c, draws(rng)
    )[0]

  def verdict(params, images):
    own = {'params': params}
    return losses.discriminate(judge.module, own, images, batch.c)

  def for_generator(own, params, rng):
    images = fakes({**variables, 'params': own}, rng)
    return losses.logistic(verdict(params, images)).mean()

  def for_judge(params, images, real):
    fake = losses.logistic(-verdict(params, images)).mean()
    return fake + losses.logistic(verdict(params, real)).mean()

  @jax.jit
  def update_judge(variables, params, rng):
    images = fakes(variables, rng)
    real = losses.real_images(batch.image, resolution=32)
    return jax.grad(for_judge)(params, images, real)

  def density(own, rng):
    keys = jax.random.split(rng, 9)
    drawn = draws_lib.for_density(generator.module, keys[0], keys[1:])
    return losses.density_variation(
      generator.module, {**variables, 'params': own}, z, batch.fake_c, drawn
    )

  def r1(params):
    real = losses.real_images(batch.image, resolution=32)
    return losses.r1_penalty(lambda x: verdict(params, x), real)[0].mean()

  update, steady = jax.jit(jax.grad(for_generator)), jax.jit(jax.grad(density))
  steep = jax.jit(jax.grad(r1))
  key = functools.partial(jax.random.key, 8)
  return {
    'generator update': lambda: update(variables['params'], params, key()),
    'discriminator update': lambda: update_judge(variables, params, key()),
    'density update': lambda: steady(variables['params'], key()),
    'R1 update': lambda: steep(params),
    'both networks': whole(plain),
    'both networks, images reused': whole(
      dataclasses.replace(plain, reuse_fakes=True)
    ),
  }


def _parts() -> dict[str, Call]:
  """Return what is timed."""
  parts: dict[str, Call] = {}
  if _SIZE.value in ('all', 'small'):
    generator, judge = _model(0, _SMALL), _model(1, _JUDGE)
    one, eight = (_synthesis(generator, count, 32) for count in (1, 8))
    parts |= {
      'small: picture': one['picture'],
      'small: 8 pictures': eight['picture'],
      'small: inversion step': one['invert'],
    }
    for name, call in _training(generator, judge).items():
      parts[f'small: {name}'] = call
  if _SIZE.value in ('all', 'full'):
    sampling = volume.VolumeConfig(mode='clean')
    config = eg3d.EG3DConfig(volume=sampling, rendering_resolution=128)
    generator = _model(0, config)
    large, less = (_synthesis(generator, 1, side) for side in (128, 64))
    parts |= {
      'full: picture, rendered at 128': large['picture'],
      'full: picture, rendered at 64': less['picture'],
      'full: picture of cached planes': large['cached'],
      'full: inversion step': large['invert'],
    }
  return parts


def _measure(call: Call, rounds: int) -> dict[str, float]:
  """Time a part."""
  walls, cores = [], []
  for _ in range(rounds + 1):
    wall, core = time.perf_counter(), time.process_time()
    jax.block_until_ready(call())
    walls.append(time.perf_counter() - wall)
    cores.append(time.process_time() - core)
  return {
    'first': walls[0],
    'median': statistics.median(walls[1:]),
    'least': min(walls[1:]),
    'all_cores': min(cores[1:]),
  }


def main(argv: list[str]) -> None:
  """Time and print."""
  del argv
  device = jax.devices()[0].device_kind
  if _TRAIN.value:
    rows = gan_training.run(_ROUNDS.value)
    if _OUT.value:
      files.write_json(_OUT.value, {'device': device, 'rows': rows})
    return
  columns = ('first', 'median', 'least', 'all_cores')
  heads = ''.join(f'{h:>11}' for h in (*columns, 'PyTorch', 'ratio'))
  print(f'{device}, float32\n{"seconds":36}{heads}')
  rows = []
  for name, call in _parts().items():
    if _PARTS.value and not any(word in name for word in _PARTS.value):
      continue
    row: dict[str, Any] = {'part': name, **_measure(call, _ROUNDS.value)}
    line = ''.join(f'{row[key]:11.3f}' for key in columns)
    if name in _REFERENCE:
      row['reference'] = _REFERENCE[name]
      row['ratio'] = row['least'] / row['reference']
      line += f'{row["reference"]:11.3f}{row["ratio"]:11.2f}'
    print(f'{name:36}{line}', flush=True)
    rows.append(row)
  if _OUT.value:
    content = {'device': device, 'jax': jax.__version__, 'rows': rows}
    files.write_json(_OUT.value, content)


if __name__ == '__main__':
  flags_lib.run(main)
