"""Hand-written gradients against those that jax derives from the formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import kernels


def plain_group_norm(x, scale, bias, groups, eps, silu=False):
  grouped = x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups)
  mean = grouped.mean(axis=(1, 3), keepdims=True)
  variance = jnp.square(grouped - mean).mean(axis=(1, 3), keepdims=True)
  normal = ((grouped - mean) / jnp.sqrt(variance + eps)).reshape(x.shape)
  out = normal * scale.reshape(1, 1, 1, -1) + bias.reshape(1, 1, 1, -1)
  return jax.nn.silu(out) if silu else out


def plain_layer_norm(x, scale, bias, eps):
  mean = x.mean(axis=-1, keepdims=True)
  variance = jnp.square(x - mean).mean(axis=-1, keepdims=True)
  normal = (x - mean) / jnp.sqrt(variance + eps)
  return normal * scale.reshape(1, 1, -1) + bias.reshape(1, 1, -1)


def plain_geglu(hidden, gate):
  return hidden * jax.nn.gelu(gate, approximate=False)


def plain_upsample(x):
  return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


MAP = (2, 4, 6, 12)
# 32 x 64 pixels: sums go in chunks of 1024.
LARGE_MAP = (2, 32, 64, 4)
# name: kernel, formula, shapes, options.
CASES = {
  'matmul': (
    kernels.matmul,
    lambda x, kernel: jnp.tensordot(x, kernel, 1),
    ((2, 5, 7), (7, 3)),
    (),
  ),
  'bias': (
    kernels.add_bias,
    lambda x, bias: x + bias.reshape(1, 1, -1),
    ((2, 5, 7), (7,)),
    (),
  ),
  'pixels': (
    kernels.add_to_pixels,
    lambda x, vector: x + vector.reshape(2, 1, 1, -1),
    (MAP, (2, 12)),
    (),
  ),
  'group_norm': (
    kernels.group_norm,
    plain_group_norm,
    (MAP, (12,), (12,)),
    (4, 1e-5),
  ),
  'group_norm_silu': (
    kernels.group_norm,
    plain_group_norm,
    (MAP, (12,), (12,)),
    (3, 1e-6, True),
  ),
  'group_norm_large': (
    kernels.group_norm,
    plain_group_norm,
    (LARGE_MAP, (4,), (4,)),
    (2, 1e-5),
  ),
  'layer_norm': (
    kernels.layer_norm,
    plain_layer_norm,
    ((2, 5, 16), (16,), (16,)),
    (1e-5,),
  ),
  'geglu': (kernels.geglu, plain_geglu, ((2, 5, 7), (2, 5, 7)), ()),
  'upsample': (kernels.upsample, plain_upsample, (MAP,), ()),
}


def arguments(name, seed=0):
  _, _, shapes, _ = CASES[name]
  rng = np.random.default_rng(seed)
  return [jnp.asarray(rng.standard_normal(s), jnp.float32) for s in shapes]


def relative(ours, theirs):
  scale = max(float(jnp.linalg.norm(theirs.ravel())), 1e-3)
  return float(jnp.linalg.norm((ours - theirs).ravel())) / scale


@pytest.mark.parametrize('name', CASES)
def test_value_and_gradient_equal_the_formula(name):
  kernel, formula, _, options = CASES[name]
  values = arguments(name)

  def pull(function, *values):
    out, back = jax.vjp(lambda *v: function(*v, *options), *values)
    weights = jnp.cos(jnp.arange(out.size, dtype=jnp.float32))
    return (out, *back(weights.reshape(out.shape)))

  ours = jax.jit(lambda *v: pull(kernel, *v))(*values)
  theirs = jax.jit(lambda *v: pull(formula, *v))(*values)
  for mine, expected in zip(ours, theirs, strict=True):
    assert mine.dtype == expected.dtype
    assert relative(mine, expected) < 5e-6


@pytest.mark.parametrize('name', ['group_norm_silu', 'layer_norm'])
def test_vmap_equals_a_loop(name):
  kernel, _, _, options = CASES[name]
  values = [jnp.stack(p) for p in zip(arguments(name), arguments(name, 1))]
  gradient = jax.grad(lambda *v: jnp.sum(jnp.sin(kernel(*v, *options))))
  many = jax.jit(jax.vmap(gradient))(*values)
  gradient = jax.jit(gradient)
  for i in range(2):
    one = gradient(*(value[i] for value in values))
    assert relative(many[i], one) < 2e-6


@pytest.mark.parametrize('offset, tolerance', [(0.0, 1e-6), (100.0, 2e-5)])
def test_group_norm_keeps_the_digits_of_maps_far_from_zero(offset, tolerance):
  x, scale, bias = arguments('group_norm_large')
  x = x + offset
  with jax.enable_x64():
    wide = [jnp.asarray(np.asarray(v, np.float64)) for v in (x, scale, bias)]
    expected = np.asarray(plain_group_norm(*wide, 2, 1e-5))
  out = np.asarray(kernels.group_norm(x, scale, bias, 2, 1e-5))
  error = np.linalg.norm(out - expected) / np.linalg.norm(expected)
  assert error < tolerance


def test_group_norm_of_a_constant_map_is_its_bias():
  x = jnp.full((1, 4, 4, 4), 7.0)
  bias = jnp.arange(4.0)

  def run(x):
    return kernels.group_norm(x, jnp.ones(4), bias, 2, 1e-5)

  np.testing.assert_allclose(run(x), jnp.broadcast_to(bias, x.shape), atol=1e-3)
  assert np.isfinite(jax.grad(lambda x: run(x).sum())(x)).all()


def test_group_norm_silu_is_finite_at_the_ends():
  x, scale, _ = arguments('group_norm')
  gradient = jax.jit(
    jax.grad(
      lambda x, b: kernels.group_norm(x, scale, b, 4, 1e-5, True).sum(),
      argnums=(0, 1),
    )
  )
  for end in (-1e4, 1e4):
    for value in gradient(x, jnp.full(12, end)):
      assert np.isfinite(value).all()


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('norms', ['float32', 'bfloat16'])
def test_bfloat16_stays_bfloat16(name, norms):
  kernel, _, _, options = CASES[name]
  values = [value.astype(jnp.bfloat16) for value in arguments(name)]
  if 'norm' in name:
    values[1:] = [value.astype(norms) for value in values[1:]]

  def run(*values):
    out, pull = jax.vjp(lambda *v: kernel(*v, *options), *values)
    return out, pull(out)

  out, gradients = jax.eval_shape(run, *values)
  assert out.dtype == jnp.bfloat16
  for value, gradient in zip(values, gradients, strict=True):
    assert gradient.dtype == value.dtype
