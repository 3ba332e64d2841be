"""What a stage of the source domain is told, and within which limits."""

import dataclasses

from maskjax.gan import adversarial as adversarial_lib, autodecoder
from maskjax.render.volume import triplane
from maskjax.training import settings, trainer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial(adversarial_lib.GANConfig):
  """An adversarial training; the fields of `GANConfig`, and one more.

  Attributes:
    augmented: whether the discriminator sees augmented pictures; sets
      `augment`.
  """

  augmented: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(trainer.Settings):
  """A stage; its values are in configs/source.py.

  Attributes:
    stage: name of the stage, see `stages.STAGES`.
    init: model folder to begin from; '' begins with random weights.
    data: folder of `experiments.make_faces`.
    shards: number of its shards to read, the first ones; 0 reads all.
    latent: numbers in z and in w.
    channels: widths of the generator's levels, from 4 x 4 pixels upward.
    features: channels of a plane and of a rendered pixel.
    hidden: width of the hidden layer of the decoder of points.
    rendering: side of the rendering, pixels.
    enlarged: channels of the two blocks from the rendering to the picture.
    plane_axes: which axes each plane holds, see `volume.triplane`.
    coarse: samples of a ray, first pass.
    fine: samples of a ray, second pass.
    start: where rays begin, distance from the camera, units of 37 cm.
    end: where rays end, the same.
    box: side of the cube of the scene, units.
    losses: weights of the auto-decoder's losses.
    scenes: scenes of a batch of the stages decoder and student.
    views: pictures of each of these scenes.
    learning_rate: largest rate of these stages.
    codes_rate: largest rate of the scenes' latents.
    warmup_steps: first steps, in which these rates rise from 0.
    decay_steps: last steps, in which these rates fall to 0.
    ema_decay: decay of the average of the weights, which is what is saved.
    pictures_every: steps between two sheets of pictures; 0 makes none.
    walk_every: steps between two videos; 0 makes none.
    walk_frames: frames of a video between two people; 0 makes no video.
    measure_every: steps between two measures; 0 takes none.
    measured: pictures that are measured.
    teacher: model folder that a student learns from; '' is the bundled one.
    batch: pictures of a step of an adversarial training.
    discriminator: widths of the discriminator's levels, from 4 x 4 pixels up.
    mapping_layers: layers of the discriminator's mapping of cameras.
    adversarial: settings of the adversarial training.
    anchor_scenes: known scenes of a step, a picture of each, for the anchor.
    raw_start: first side of the rendering, which grows to the generator's own.
    raw_kimg: thousands of pictures in which it grows.
    raw_sides: sides that it may have; each is compiled once.
  """

  stage: str
  init: str
  data: str
  shards: int = settings.number(0, 10**6)

  latent: int = settings.number(1, 8192)
  channels: tuple[int, ...] = settings.number(1, 8192, most=10)
  features: int = settings.number(1, 8192)
  hidden: int = settings.number(1, 8192)
  rendering: int = settings.number(1, 2048)
  enlarged: tuple[int, int] = settings.number(1, 8192)
  plane_axes: triplane.PlaneAxes
  coarse: int = settings.number(1, 4096)
  fine: int = settings.number(1, 4096)
  start: float = settings.number(0, 1000)
  end: float = settings.number(0, 1000)
  box: float = settings.number(0, 1000)

  losses: autodecoder.DecoderLosses
  scenes: int = settings.number(1, 65_536)
  views: int = settings.number(1, 10**4)
  learning_rate: float = settings.number(0, 10)
  codes_rate: float = settings.number(0, 10)
  warmup_steps: int = settings.number(0, 10**9)
  decay_steps: int = settings.number(0, 10**9)
  ema_decay: float = settings.number(0, 1)

  pictures_every: int = settings.number(0, 10**9)
  walk_every: int = settings.number(0, 10**9)
  walk_frames: int = settings.number(0, 10_000)
  measure_every: int = settings.number(0, 10**9)
  measured: int = settings.number(8, 10**6)

  teacher: str

  batch: int = settings.number(1, 65_536)
  discriminator: tuple[int, ...] = settings.number(1, 8192, most=10)
  mapping_layers: int = settings.number(0, 64)
  adversarial: Adversarial
  anchor_scenes: int = settings.number(1, 65_536)
  raw_start: int = settings.number(1, 2048)
  raw_kimg: float = settings.number(0, 10**9)
  raw_sides: tuple[int, ...] = settings.number(1, 2048)

  def __post_init__(self) -> None:
    """Refuse what would show itself only when it is first used."""
    if self.start >= self.end:
      raise ValueError(f'start is {self.start}, not below end, {self.end}')
    if not self.raw_sides:
      raise ValueError('raw_sides is empty; give one or more')
    if self.raw_kimg and max(self.raw_start, *self.raw_sides) > self.rendering:
      raise ValueError(
        f'raw_start, {self.raw_start}, and raw_sides, {self.raw_sides}, go up '
        f'to rendering, {self.rendering}, at most'
      )
