"""Filter passes against convolutions between inserted zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.kernels import fir_pass
from tests.kernels import checks

TAPS = (0.5, -1.0, 2.0, 0.25, 1.5)
# up, down, zeros before and after, taps: the last has fewer taps than phases.
CASES = {
  'filters': (1, 1, (2, 1), 5),
  'enlarges': (2, 1, (1, 3), 5),
  'enlarges and crops': (3, 1, (-1, -2), 5),
  'reduces': (1, 2, (2, 2), 4),
  'reduces and leaves some over': (1, 3, (0, 1), 4),
  'both': (3, 2, (4, 4), 5),
  'has fewer taps than phases': (3, 1, (1, 1), 2),
}


def step(name, axis):
  up, down, pads, count = CASES[name]
  return fir_pass.Pass(
    taps=TAPS[:count], axis=axis, up=up, down=down, pads=pads, size=7
  )


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('axis', [1, 2])
def test_value_and_gradient_equal_the_formula(name, axis):
  kernel, plain = (
    lambda x, f=f: f(x, step(name, axis))
    for f in (fir_pass.apply, fir_pass.apply_plain)
  )
  (x,) = checks.normal((2, 7, 7, 3))
  checks.assert_equal(kernel, plain, [x])
  checks.assert_equal(kernel, plain, [x], run=checks.pull_twice)


@pytest.mark.parametrize('name', CASES)
def test_transposed_twice_is_the_pass_on_what_it_reaches(name):
  # <A x, g> = <x, A' g>, exactly: taps and samples are small whole numbers.
  own = step(name, 1)._replace(
    taps=(1.0, -2.0, 3.0, 4.0, -1.0)[: CASES[name][3]]
  )
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.integers(-9, 9, (1, 7, 1, 1)), jnp.float32)
  out = fir_pass.apply(x, own)
  g = jnp.asarray(rng.integers(-9, 9, out.shape), jnp.float32)
  back = fir_pass.apply(g, own.transposed)
  assert back.shape == x.shape
  assert float((out * g).sum()) == float((x * back).sum())


def test_gradient_is_made_of_slices_not_of_padded_maps():
  own = step('enlarges', 1)
  x = jax.ShapeDtypeStruct((1, 7, 5, 2), jnp.float32)
  backward = lambda x: jax.vjp(lambda x: fir_pass.apply(x, own), x)[1]
  g = jax.eval_shape(lambda x: fir_pass.apply(x, own), x)
  program = str(jax.make_jaxpr(lambda x, g: backward(x)(g))(x, g))
  # One padding each way; jax would pad every slice's gradient.
  assert program.count('= pad[') <= 2
