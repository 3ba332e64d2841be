"""Compares gradients of generators and discriminators with goldens.

First order with respect to latents, images and weights, and second order: the
gradients of the R1 penalty with respect to weights. Most gradients are given
by their norm and by their product with a random array ("probe"), both summed
in float64.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.gan import (
  discriminator,
  model as model_lib,
  restore,
  state_configs,
)
from maskjax.weights import eg3d_keys
from tests.gan.parity import recipe, rows as golden_rows
from tests.gan.parity.rows import channels_first, channels_last

Row = golden_rows.Row
Golden = golden_rows.Golden

_PROBE_SEED = 5
# Part of the largest gradient of a group below which one is rounding alone.
_ZERO = 1e-6
_INPUTS = r'D/(image|image_raw|c)|G/neural_rendering_resolution|.*/grad_names'
# The reference's variant that fades the raw image out, after its first step.
_FADED = 1 - 32 / 500000


def check_tree(
  golden: Golden, group: str, gradients: Mapping[str, Any], prefix: str = ''
) -> Iterator[Row]:
  """Compare the gradients of all parameters.

  Args:
    golden: X_grads.npz.
    group: names in it start like this.
    gradients: tree like the parameters.
    prefix: of parameter names, left out in the golden.

  Yields:
    Rows for the norms, the probes and the whole gradients that are recorded.
  """
  state = {
    key.removeprefix(prefix): np.asarray(value, np.float64)
    for key, value in eg3d_keys.gradients_to_state(gradients).items()
  }
  if not golden.under(f'{group}/grad'):
    return
  # Norms and probes are in the order of these names.
  names = [str(name) for name in golden.arrays.get(f'{group}/grad_names', ())]
  if missing := [name for name in names if name not in state]:
    raise ValueError(f'{golden.name}: no parameter {missing[0]} in {group}')
  norms = [np.sqrt(np.square(state[name]).sum()) for name in names]
  probes = [
    (
      state[name]
      * recipe.normal(_PROBE_SEED, f'probe:{name}', state[name].shape)
    ).sum()
    for name in names
  ]
  yield from golden_rows.compare_known(
    golden,
    {
      f'{group}/grad_norms': np.array(norms),
      f'{group}/grad_probes': np.array(probes),
    },
  )
  largest = max(norms, default=0.0)
  for key, value in golden.under(f'{group}/grad/').items():
    if key not in state:
      raise ValueError(f'{golden.name}: no parameter {key} in {group}')
    # Zero but for rounding, like that of a bias which a difference cancels.
    zero = np.abs(value).max(initial=0.0) < _ZERO * largest
    yield golden_rows.compare(
      golden,
      f'{group}/grad/{key}',
      state[key],
      tolerance=10 * _ZERO * largest if zero else None,
    )


def _generator_loss(model, resolution, seed, c):
  """Return the loss of weights and latents that the goldens use."""

  def weighted(name, value):
    shape = (value.shape[0], value.shape[3], *value.shape[1:3])
    weight = recipe.normal(seed, name, shape)
    return (value * channels_last(weight)).mean()

  def loss(params, ws):
    picture = model_lib.run(
      {**model.variables, 'params': params},
      model.module.synthesize,
      ws,
      c,
      resolution=resolution,
    )
    return (
      weighted('v_image', picture.image)
      + weighted('v_raw', picture.image_raw)
      + 0.1 * weighted('v_depth', picture.depth)
    )

  return loss


def check_generator(
  golden: Golden, forward: Golden, model: model_lib.Model
) -> Iterator[Row]:
  """Compare gradients through rendering and through the mapping.

  Args:
    golden: X_grads.npz.
    forward: X_forward.npz.
    model: the generator.
  """
  resolution = model.module.config.rendering_resolution
  if 'G/neural_rendering_resolution' in golden:
    resolution = int(golden['G/neural_rendering_resolution'])
  z, c = (jnp.asarray(forward[name]) for name in 'zc')
  loss = _generator_loss(model, resolution, forward.meta['seed'], c)
  value, (to_params, to_ws) = golden_rows.exact_jit(
    jax.value_and_grad(loss, (0, 1))
  )(model.variables['params'], forward['ws'])
  ours = {'G/loss': value, 'G/dws': to_ws}
  yield from golden_rows.compare_known(golden, ours)
  yield from check_tree(golden, 'G', to_params)

  def mapped(params):
    variables = {**model.variables, 'params': params}
    ws = model_lib.run(variables, model.module.map, z, c)
    return jnp.square(ws).mean()

  value, to_params = golden_rows.exact_jit(jax.value_and_grad(mapped))(
    model.variables['params']
  )
  ours = {'G/loss_through_mapping': value}
  yield from golden_rows.compare_known(golden, ours)
  mapping = {'mapping': to_params['backbone']['mapping']}
  yield from check_tree(golden, 'Gmap', mapping, 'mapping.')


def check_discriminator(
  golden: Golden, model: model_lib.Model
) -> Iterator[Row]:
  """Compare logits, gradients to images, R1 and its gradients.

  Args:
    golden: X_grads.npz.
    model: the dual discriminator.
  """
  image, raw = (
    jnp.asarray(channels_last(golden[f'D/{n}'])) for n in ('image', 'image_raw')
  )
  params, c = model.variables['params'], jnp.asarray(golden['D/c'])

  def logits(params, image, raw):
    return model.module.apply(
      {'params': params}, discriminator.pair_images(image, raw), c
    )

  def penalty(params, image, raw):
    slopes = jax.grad(lambda *x: logits(params, *x).sum(), (0, 1))(image, raw)
    per_sample = sum(jnp.square(x).sum((1, 2, 3)) for x in slopes)
    return (0.5 * per_sample).mean(), (per_sample, slopes)

  def loss(params, image, raw):
    values = logits(params, image, raw)
    return jax.nn.softplus(-values).mean(), values

  compiled = golden_rows.exact_jit(jax.value_and_grad(loss, has_aux=True))
  (value, values), to_params = compiled(params, image, raw)
  ours = {'D/logits': values, 'Dloss/softplus_neg_mean': value}
  yield from golden_rows.compare_known(golden, ours)
  yield from check_tree(golden, 'Dloss', to_params)
  compiled = golden_rows.exact_jit(jax.value_and_grad(penalty, has_aux=True))
  (_, (per_sample, slopes)), to_params = compiled(params, image, raw)
  ours = {'D/r1_penalty': per_sample}
  for name, slope in zip(('dimage', 'draw'), slopes):
    ours[f'D/dlogits_{name}'] = channels_first(slope)
  yield from golden_rows.compare_known(golden, ours)
  yield from check_tree(golden, 'R1', to_params)


def _variant_input(name: str, image, raw):
  """Return what a variant of the discriminator sees."""
  if name == 'dual':
    return discriminator.pair_images(image, raw)
  if name == 'dummydual':
    return discriminator.pair_images(image, raw, raw_weight=_FADED)
  return jnp.asarray(image)


def check_variants(
  golden: Golden, forward: Golden, config: discriminator.DiscriminatorConfig
) -> Iterator[Row]:
  """Compare the logits of other discriminators of the same sizes.

  Args:
    golden: X_grads.npz.
    forward: X_forward.npz.
    config: of the dual discriminator.
  """
  image, raw = (
    jnp.asarray(channels_last(golden[f'D/{n}'])) for n in ('image', 'image_raw')
  )
  for name in golden.under('other_D/'):
    kind, _, condition = name.rpartition('_c')
    seen = _variant_input(kind, image, raw)
    own = discriminator.DiscriminatorConfig(
      image_channels=seen.shape[-1],
      c_dim=int(condition),
      channels=config.channels,
      clamp=config.clamp,
    )
    shapes = restore.state_shapes(own)
    state = recipe.make_state(
      forward.meta['seed'] + 51, {k: v.shape for k, v in shapes.items()}
    )
    model = restore.restore(own, state)
    logits = golden_rows.exact_jit(model.module.apply)(
      model.variables, seen, golden['D/c'][:, : own.c_dim]
    )
    yield golden_rows.compare(golden, f'other_D/{name}', logits)


def check(
  golden: Golden,
  forward: Golden,
  generator: model_lib.Model,
  state: Mapping[str, np.ndarray],
) -> Iterator[Row]:
  """Compare every gradient of a set.

  Args:
    golden: X_grads.npz.
    forward: X_forward.npz.
    generator: of the set.
    state: of its discriminator.

  Yields:
    A row for each array.
  """
  config = state_configs.discriminator_config(state)
  judge = restore.restore(config, state)
  rows = []
  parts = []
  if 'D/image' in golden:
    parts.append(check_discriminator(golden, judge))
    parts.append(check_variants(golden, forward, config))
  if golden.under('G'):
    parts.append(check_generator(golden, forward, generator))
  for part in parts:
    for row in part:
      rows.append(row)
      yield row
  yield from golden_rows.left_out(golden, rows, _INPUTS)
