"""The kinds of generators: what trainings, pictures and checkpoints ask of one.

A kind is a value of functions with one interface. A further generator is a
file with its network, config and functions, and a row in `KINDS`; whatever
trains, saves or shows generators then takes it.

Shapes: B samples, V views of each, H side of the final image, S of the
rendering, Z D sizes of z and w, N copies of w.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from maskjax.gan import (
  adversarial,
  anchors,
  autodecoder,
  draws as draws_lib,
  eg3d,
  fakes,
  regularizers,
  stylegan2,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regularizer:
  """The lazy loss of a generator.

  Attributes:
    name: of its metric.
    loss: `loss(context, state, params, rng)`, the weighted loss and the mean
      path length; see `regularizers`.
    weight: of the loss, 0 for none.
    period: steps between two.
  """

  name: str
  loss: Callable[..., tuple[Float[Array, ''], Float[Array, '']]]
  weight: Callable[[adversarial.GANConfig], float]
  period: Callable[[adversarial.GANConfig], int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
  """What a generator is, and how it trains and shows.

  A config of the kind says more about its network: `backbone` (with `z_dim`),
  `output_side`, `rendering_resolution` (None without a raw rendering), and
  what `model.Config` has.

  Attributes:
    name: in the config.json of a model folder.
    config: dataclass of its configs.
    title: of a model card.
    words: what its pictures show, a sentence of a model card.
    show: `show(generator, variables, ws, camera)`, the views of scenes as
      `autodecoder.Shown`; None for a generator of images, which has no
      cameras.
    draw: draws of one pass, see `draws`.
    generate: images as in training, see `fakes`.
    anchor: loss of known scenes, see `anchors`.
    regularizer: lazy loss.
    r1_at_shown: where R1 takes the slope, see `regularizers.r1`.
  """

  name: str
  config: type
  title: str
  words: str
  show: Callable[..., autodecoder.Shown] | None
  draw: Callable[..., draws_lib.Draws]
  generate: Callable[..., tuple[fakes.Images, Float[Array, 'b n d']]]
  anchor: Callable[..., Float[Array, '']]
  regularizer: Regularizer
  r1_at_shown: bool

  @property
  def has_cameras(self) -> bool:
    """Whether it makes scenes that are seen from cameras."""
    return self.show is not None


EG3D = Kind(
  name='eg3d',
  config=eg3d.EG3DConfig,
  title='Source domain: rendered people',
  words='A small EG3D whose scenes are heads of people who do not exist.',
  show=autodecoder.show,
  draw=draws_lib.for_scenes,
  generate=fakes.of_scenes,
  anchor=anchors.of_scenes,
  regularizer=Regularizer(
    name='density',
    loss=regularizers.density,
    weight=lambda config: config.density_weight,
    period=lambda config: config.density_every,
  ),
  r1_at_shown=True,
)
STYLEGAN2 = Kind(
  name='stylegan2',
  config=stylegan2.StyleGAN2Config,
  title='People in two dimensions',
  words='A small StyleGAN2 whose pictures show people who do not exist.',
  show=None,
  draw=draws_lib.for_images,
  generate=fakes.of_images,
  anchor=anchors.of_images,
  regularizer=Regularizer(
    name='path',
    loss=regularizers.path_length,
    weight=lambda config: config.path_weight,
    period=lambda config: config.path_every,
  ),
  r1_at_shown=False,
)
KINDS = (EG3D, STYLEGAN2)


def find(module: nn.Module) -> Kind | None:
  """Return the kind of a network; None for one that is no generator."""
  config: Any = getattr(module, 'config', None)
  return next((kind for kind in KINDS if isinstance(config, kind.config)), None)


def of(generator: nn.Module) -> Kind:
  """Return the kind of a generator.

  Raises:
    ValueError: a network that is no generator.
  """
  kind = find(generator)
  if kind is None:
    raise ValueError(
      f'{type(generator).__name__} is no generator; there are '
      f'{", ".join(kind.name for kind in KINDS)}'
    )
  return kind
