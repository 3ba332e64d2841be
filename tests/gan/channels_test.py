import jax
import jax.numpy as jnp
import numpy as np

from maskjax.gan import channels


def ours(x, factors, bias):
  return jnp.sin(channels.add(channels.scale(x, factors), bias)).sum()


def plain(x, factors, bias):
  scaled = x * factors[:, None, None]
  return jnp.sin(scaled + bias[None, None, None]).sum()


def inputs():
  keys = jax.random.split(jax.random.key(0), 3)
  shapes = (2, 4, 5, 3), (2, 3), (3,)
  return [jax.random.normal(key, s) for key, s in zip(keys, shapes)]


def test_values_and_gradients():
  first = [
    jax.jit(jax.value_and_grad(function, (0, 1, 2)))(*inputs())
    for function in (ours, plain)
  ]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *first
  )


def test_second_gradients():
  def steepness(function):
    def square(*x):
      slopes = jax.grad(function, (0, 1, 2))(*x)
      return sum(jnp.square(slope).sum() for slope in slopes)

    return jax.jit(jax.grad(square, (0, 1, 2)))(*inputs())

  for a, b in zip(steepness(ours), steepness(plain)):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_biases_of_plain_rows():
  x = jnp.ones((4, 3))
  out = channels.add(x, jnp.arange(3.0))
  np.testing.assert_array_equal(out[1], [1, 2, 3])
  slope = jax.grad(lambda bias: channels.add(x, bias).sum())(jnp.zeros(3))
  np.testing.assert_array_equal(slope, [4, 4, 4])
