"""How a generator's people are shown in files, by what it makes.

A generator whose kind has cameras shows scenes from several sides, with their
depth; any other shows images.

Shapes: Y X pixels of a sheet, N frames, H side of the image.
"""

from collections.abc import Callable, Iterable, Sequence
import dataclasses
from typing import Any

from jaxtyping import UInt8
import numpy as np

from maskjax.gan import kinds, model as model_lib, scenes
from maskjax.people_gan import flat_pictures, pictures as people_pictures

Block = UInt8[np.ndarray, 'y x 3']


@dataclasses.dataclass(frozen=True, kw_only=True)
class Presenter:
  """How people are shown.

  Attributes:
    new_people: `new_people(model)`, the blocks of a sheet in training.
    crowd: `crowd(model, seeds, psi=psi, rows=rows)`, many people in blocks of
      some rows.
    walk: `walk(model, seeds, frames)`, the frames of a video from seed to
      seed and back, and how many they are.
  """

  new_people: Callable[[model_lib.Model], list[Block]]
  crowd: Callable[..., list[Block]]
  walk: Callable[..., tuple[Iterable[np.ndarray], int]]


def _scene_people(model: model_lib.Model) -> list[Block]:
  """Return people from five sides and their depth, a row each."""
  return [people_pictures.samples(model.module, model.variables, range(8))]


def _scene_crowd(
  model: model_lib.Model, seeds: Sequence[int], *, psi: float, rows: int
) -> list[Block]:
  """Return people from five sides, in blocks of some rows."""
  generator: Any = model.module
  parts = [seeds[i : i + rows] for i in range(0, len(seeds), rows)]
  width = generator.config.output_side * len(people_pictures.YAWS)
  return [
    people_pictures.samples(generator, model.variables, part, psi=psi)[
      :, :width
    ]
    for part in parts
  ]


def _scene_walk(
  model: model_lib.Model, seeds: Sequence[int], frames: int
) -> tuple[Iterable[np.ndarray], int]:
  """Return pictures of scenes from a moving camera."""
  viewing = scenes.Viewing(psi=people_pictures.PSI, cutoff=None)
  studio = scenes.open_studio(model, viewing)
  return scenes.walk(studio, seeds, frames), frames * len(seeds)


def _flat_people(model: model_lib.Model) -> list[Block]:
  """Return images of people, eight in a row."""
  generator: Any = model.module
  return [flat_pictures.samples(generator, model.variables, range(32))]


def _flat_crowd(
  model: model_lib.Model, seeds: Sequence[int], *, psi: float, rows: int
) -> list[Block]:
  """Return images of people, `rows` beside another."""
  generator: Any = model.module
  return [flat_pictures.samples(generator, model.variables, seeds, rows, psi)]


def _flat_walk(
  model: model_lib.Model, seeds: Sequence[int], frames: int
) -> tuple[Iterable[np.ndarray], int]:
  """Return images on the way from seed to seed."""
  generator: Any = model.module
  made = flat_pictures.walk(generator, model.variables, seeds, frames)
  return made, len(made)


SCENES = Presenter(
  new_people=_scene_people, crowd=_scene_crowd, walk=_scene_walk
)
IMAGES = Presenter(new_people=_flat_people, crowd=_flat_crowd, walk=_flat_walk)


def of(model: model_lib.Model) -> Presenter:
  """Return how a generator's people are shown.

  Args:
    model: any network with its weights.

  Raises:
    ValueError: a network that is no generator.
  """
  return SCENES if kinds.of(model.module).has_cameras else IMAGES


def crowd(
  model: model_lib.Model, seeds: Sequence[int], *, psi: float, rows: int = 8
) -> list[Block]:
  """Draw many people, in blocks of some rows.

  Args:
    model: any generator.
    seeds: seeds of the latents, a multiple of `rows`.
    psi: truncation toward the mean latent; 1 for none.
    rows: number of rows of a block.
  """
  return of(model).crowd(model, seeds, psi=psi, rows=rows)
