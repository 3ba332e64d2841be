"""A network with its variables, and how a config becomes one.

Networks are linen modules whose config is a frozen dataclass. A config says
itself what is built from it (`Config`), so that nothing here, and nothing that
saves, loads or counts networks, knows which kinds there are.
"""

from collections.abc import Callable, Mapping
from typing import (
  Any,
  NamedTuple,
  ParamSpec,
  Protocol,
  TypeVar,
  runtime_checkable,
)

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from maskjax.training import state as state_lib

Variables = Mapping[str, Any]
P = ParamSpec('P')
R = TypeVar('R')


@runtime_checkable
class Config(Protocol):
  """What the config of every network can say."""

  @property
  def filter_gains(self) -> dict[str, float]:
    """Factors on smoothing filters, by prefix of the reference's keys."""

  @property
  def filter_owners(self) -> tuple[str, ...]:
    """Modules that may hold a filter of their own in a reference state."""

  @property
  def exported_filters(self) -> tuple[str, ...]:
    """Those of `filter_owners` that a state written here has."""

  def build(self) -> nn.Module:
    """Return the network."""

  def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Return the shapes of one sample's inputs."""


class Model(NamedTuple):
  """A network and its variables.

  Attributes:
    module: the network, a linen module with its config.
    variables: collections 'params' and 'buffers'.
  """

  module: Any  # which methods it has, its kind says
  variables: dict[str, Any]


def run(
  variables: Variables,
  method: Callable[P, R],
  *args: P.args,
  **options: P.kwargs,
) -> R:
  """Run a method of a network on variables.

  `run(variables, generator.map, z, c)` is `generator.map(z, c)` with these
  weights; the method's own signature and result are checked.

  Args:
    variables: collections 'params' and 'buffers'.
    method: of a linen module, bound to it.
    *args: inputs of the method.
    **options: options of the method.

  Returns:
    What the method returns.
  """
  module = getattr(method, '__self__')  # noqa: B009
  return module.apply(variables, *args, method=method, **options)


def one_sample(*sizes: int) -> jax.ShapeDtypeStruct:
  """Return the shape of one sample of float32 numbers of these sizes."""
  return jax.ShapeDtypeStruct((1, *sizes), jnp.float32)


def variable_shapes(config: Config) -> dict[str, Any]:
  """Return the shapes of a network's variables, without computing any."""
  init = config.build().init
  return jax.eval_shape(init, jax.random.key(0), *config.inputs())


def initialize(rng: Key[Array, ''], config: Config) -> Model:
  """Return a network with random weights.

  Args:
    rng: key that all weights and stored noise are drawn from.
    config: of the network.
  """
  module = config.build()
  zeros = [jnp.zeros(x.shape, x.dtype) for x in config.inputs()]
  return Model(module, state_lib.init(module, rng, *zeros))


def parameter_count(model: Model) -> int:
  """Return the number of trained numbers of a network."""
  return sum(leaf.size for leaf in jax.tree.leaves(model.variables['params']))
