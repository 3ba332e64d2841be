"""What an adversarial training is made of: settings, batch and state.

`optimizers` decides what a step does and how gradients become updates,
`training` makes the step that goes from one state to the next.

Shapes: B samples, H W pixels, S side of the raw rendering, K channels, Z size
of the latent, C size of the condition. Follows Karras et al. 2020, appendix
B, and Chan et al., CVPR 2022, supplement.
"""

import dataclasses
from typing import Any, NamedTuple

import flax
import flax.linen as nn
from jaxtyping import Array, Float, Int
import optax

from maskjax.gan import augment as augment_lib, autodecoder, model as model_lib
from maskjax.training import settings as settings_lib

PyTree = Any

_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class GANConfig:
  """Settings of a training; the defaults are EG3D's for FFHQ.

  Attributes:
    generator_rate: learning rate of the generator.
    discriminator_rate: learning rate of the discriminator.
    generator_pause: steps at first in which only the discriminator learns: a
      generator that begins trained waits until it has something to say.
    betas: of Adam.
    r1_gamma: weight of R1; 0 for none.
    r1_every: steps between two R1 updates.
    density_weight: of the density regularisation of EG3D; 0 for none.
    density_every: steps between two.
    density_distance: see `losses.density_variation`.
    density_points: points of each scene.
    path_weight: of the path length regularisation of StyleGAN2; 0 for none.
    path_every: steps between two.
    path_shrink: it sees the batch divided by this.
    path_decay: see `losses.path_penalty`.
    w_decay: part of the mean latent that a step keeps.
    average_kimg: half-life of the generator's average, thousands of images.
    average_rampup: see `schedules.ema_decay`.
    blur_sigma: blur of all final and of real raw images at first, pixels; 0
      for none.
    blur_kimg: thousands of images in which it goes to zero.
    swap_end: how often the mapping sees another camera at last; None to
      condition on nothing.
    swap_kimg: thousands of images in which it falls from always to `swap_end`.
    mixing_probability: of taking the last copies of w from a second latent
      (style mixing); 0 for EG3D, 0.9 is usual for StyleGAN2.
    augment: changes to images that the discriminator sees, None for none.
    augment_probability: of each change at first.
    augment_target: see `augment.adjust`; None keeps the probability.
    augment_kimg: see `augment.adjust`.
    augment_every: steps between two adjustments.
    reuse_fakes: show the discriminator the images that the generator was
      updated with, rather than new ones: a forward pass less, a fifth of the
      step. Not what the reference does.
    anchor_weight: of the auto-decoder's losses of known scenes in the
      generator's update (in two dimensions of the picture's alone), which hold
      faces and relief while the discriminator sharpens them; 0 for none. The
      reference has none.
  """

  generator_rate: float = _number(0, 1, default=0.0025)
  discriminator_rate: float = _number(0, 1, default=0.002)
  generator_pause: int = _number(0, default=0)
  betas: tuple[float, float] = _number(0, 1, default=(0.0, 0.99))
  r1_gamma: float = _number(0, default=1.0)
  r1_every: int = _number(1, default=16)
  density_weight: float = _number(0, default=0.25)
  density_every: int = _number(1, default=4)
  density_distance: float = _number(0, default=0.004)
  density_points: int = _number(1, 10**6, default=1000)
  path_weight: float = _number(0, default=2.0)
  path_every: int = _number(1, default=4)
  path_shrink: int = _number(1, default=2)
  path_decay: float = _number(0, 1, default=0.01)
  w_decay: float = _number(0, 1, default=0.998)
  average_kimg: float = _number(0, default=10.0)
  average_rampup: float | None = _number(0, default=0.05)
  blur_sigma: float = _number(0, 100, default=10.0)
  blur_kimg: float = _number(0, default=200.0)
  swap_end: float | None = _number(0, 1, default=0.5)
  swap_kimg: float = _number(0, default=1000.0)
  mixing_probability: float = _number(0, 1, default=0.0)
  augment: augment_lib.AugmentConfig | None = None
  augment_probability: float = _number(0, 1, default=0.0)
  augment_target: float | None = _number(-1, 1, default=0.6)
  augment_kimg: float = _number(0, default=500.0)
  augment_every: int = _number(1, default=4)
  reuse_fakes: bool = False
  anchor_weight: float = _number(0, default=0.0)

  def __post_init__(self):
    periods = ('r1_every', 'density_every', 'path_every', 'augment_every')
    for name in (*periods, 'path_shrink'):
      if getattr(self, name) < 1:
        raise ValueError(f'{name}={getattr(self, name)} is not at least 1')


class Known(NamedTuple):
  """Pictures of known scenes, for the anchor.

  Attributes:
    views: of some scenes; their numbers count from zero on each device.
    z: latents of these scenes; in two dimensions of the views, one each.
  """

  views: autodecoder.Views
  z: Float[Array, 'b z']


class GANBatch(NamedTuple):
  """What a step sees of the data.

  Attributes:
    image: real images, [-1, 1].
    c: their cameras or conditions; None for none.
    fake_c: those of the generated images, drawn from the data too.
    raw: real images at the side of the raw rendering, made with
      `resize.resize`; None to make them here at the generator's own side.
    known: for the anchor; None for none.
  """

  image: Float[Array, 'b h w k']
  c: Float[Array, 'b c'] | None = None
  fake_c: Float[Array, 'b c'] | None = None
  raw: Float[Array, 'b s s k'] | None = None
  known: Known | None = None


@flax.struct.dataclass
class NetworkState:
  """What training changes of one network.

  Attributes:
    params: weights.
    opt_state: state of its optimiser.
  """

  params: PyTree
  opt_state: optax.OptState


@flax.struct.dataclass
class GANState:
  """All that a step changes.

  Attributes:
    step: number of finished steps.
    generator: its `params` may hold 'shifts' beside the networks: offsets of
      styles (see `synthesis.shift`) that are trained like weights.
    discriminator: the network that tells real images from generated ones.
    buffers: of the generator, with the mean latent.
    average: moving average of the generator's params; its buffers are
      `buffers`.
    path_mean: mean path length.
    controller: of augmentation.
    penalties: last values of the lazy losses, for metrics.
  """

  step: Int[Array, '']
  generator: NetworkState
  discriminator: NetworkState
  buffers: PyTree
  average: PyTree
  path_mean: Float[Array, '']
  controller: augment_lib.Controller
  penalties: dict[str, Float[Array, '']]


class Parts(NamedTuple):
  """What a step does beside the update of the discriminator.

  Attributes:
    generator: update of the generator.
    variation: its lazy loss, density of EG3D or path lengths of StyleGAN2.
    r1: lazy loss of the discriminator.
  """

  generator: bool = True
  variation: bool = True
  r1: bool = True


def average_model(generator: nn.Module, state: GANState) -> model_lib.Model:
  """Return the averaged generator, for pictures and checkpoints."""
  params = {k: v for k, v in state.average.items() if k != 'shifts'}
  variables = {'params': params, 'buffers': state.buffers}
  return model_lib.Model(generator, variables)
