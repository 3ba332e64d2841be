"""What a training stage of the prior is told, and within which limits."""

import dataclasses

from maskjax.training import settings, trainer

NETWORKS = ('unet', 'text_encoder', 'controlnet')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heads:
  """The pictures that `experiments.build_prior_data` draws.

  Attributes:
    shards: number of files.
    views: pictures of each head.
    size: side of a picture, pixels.
  """

  shards: int = settings.number(1, 10**6)
  views: int = settings.number(1, 10**6)
  size: int = settings.number(8, 2048)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(trainer.Settings):
  """A stage of the prior; its values are in configs/prior.py.

  Attributes:
    init: model folder to begin from; '' begins with random weights.
    data: folder of `experiments.build_prior_data`.
    heads: how that folder is built.
    sample_size: side of a picture, pixels.
    pixel_unshuffle: side of the block of pixels that is folded into channels.
    channels: widths of the UNet's levels, the finest first.
    attention_heads: heads of each attention.
    norm_groups: groups of each normalisation.
    text_features: width of the text encoder.
    text_layers: layers of the text encoder.
    vocabulary: size of the tokenizer's vocabulary.
    tokens: tokens of a caption.
    condition_embedding: widths of the embedding of the ControlNet's condition.
    trained: networks that learn; the others stay as they are.
    downscale: factor by which pictures are averaged down.
    batch_size: pictures of a step.
    views: most steps see groups of so many views of one head together, the
      others single pictures; 1 for single pictures only.
    learning_rate: largest rate of AdamW.
    warmup_steps: first steps, in which the rate rises from 0.
    decay_steps: last steps, in which the rate falls to 0.
    weight_decay: of AdamW.
    ema_decay: decay of the average of the weights, which is what is saved.
    dtype: type that the networks compute in.
  """

  init: str
  data: str
  heads: Heads
  sample_size: int = settings.number(8, 2048)
  pixel_unshuffle: int = settings.number(1, 64)
  channels: tuple[int, ...] = settings.number(1, 8192, most=10)
  attention_heads: int = settings.number(1, 1024)
  norm_groups: int = settings.number(1, 8192)
  text_features: int = settings.number(1, 8192)
  text_layers: int = settings.number(1, 256)
  vocabulary: int = settings.number(514, 2**20)
  tokens: int = settings.number(3, 4096)
  condition_embedding: tuple[int, ...] = settings.number(1, 8192, most=10)
  trained: tuple[str, ...] = settings.some_of(*NETWORKS)
  downscale: int = settings.number(1, 64)
  batch_size: int = settings.number(1, 65_536)
  views: int = settings.number(1, 64)
  learning_rate: float = settings.number(0, 10)
  warmup_steps: int = settings.number(0, 10**9)
  decay_steps: int = settings.number(0, 10**9)
  weight_decay: float = settings.number(0, 10)
  ema_decay: float = settings.number(0, 1)
  dtype: str = settings.choice('float32', 'bfloat16')

  def __post_init__(self) -> None:
    """Refuse groups of views that do not fill a batch."""
    if self.batch_size % self.views:
      raise ValueError(
        f'batch_size is {self.batch_size}; give a multiple of views, '
        f'{self.views}'
      )
