"""Where the loop begins: the first image, and the start shape painted with it.

A run keeps its start, so that "more training", "back" and another export need
no sampling: first_image.png to look at, and start.npz with the arrays
'image', 'mask', 'normals' and 'coverage' where they were painted, and
'colors_0', 'colors_1', ..., the leaves of the colours.
"""

import pathlib
import typing
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from maskjax.geometry import color
from maskjax.mask import (
  first_image,
  guide as guide_lib,
  projection,
  settings as settings_lib,
  surface as surface_lib,
  trainable,
  views,
)
from maskjax.training import files, media
from maskjax.weights import archives

_FILE = 'start.npz'
# Fields of the first image that some models do not paint.
_MAPS = ('normals', 'coverage')


class Start(NamedTuple):
  """What a mask is before the first step."""

  params: trainable.MaskParams
  first: first_image.FirstImage | None  # None: grey, nothing was painted


def grey(surface: surface_lib.Surface) -> Start:
  """Return a start shape of an even grey."""
  colors = jnp.full_like(surface.template.mesh.vertices, 0.5)
  return Start(surface_lib.initial_params(surface, colors), None)


def paint(
  surface: surface_lib.Surface,
  guide: guide_lib.Guide,
  settings: settings_lib.MaskSettings,
) -> Start:
  """Sample the first image, and paint the start shape with it.

  A start shape that has colours keeps them.

  Args:
    surface: the start shape, prepared.
    guide: the diffusion model and the words of all views.
    settings: all settings of the mask.
  """
  first = first_image.generate(
    jax.random.fold_in(jax.random.key(settings.seed), 1),
    guide.model,
    surface.template,
    guide.texts[views.front_text()],
    guide.negative,
    settings.first_image,
    shows=settings.controlnet.shows,
  )
  colors = surface.template.mesh.colors
  if colors is None:
    colors, _ = projection.project(surface.template, first)
  return Start(surface_lib.initial_params(surface, colors), first)


def save(folder: pathlib.Path, start: Start) -> None:
  """Write a painted start to a work folder; of a grey one nothing is kept."""
  if start.first is None:
    return
  image = np.asarray(start.first.image)
  media.save_png(folder / 'first_image.png', color.to_bytes(image))
  arrays = {
    f'colors_{i}': np.asarray(leaf)
    for i, leaf in enumerate(jax.tree.leaves(start.params.colors))
  }
  for name, value in start.first._asdict().items():
    if value is not None:
      arrays[name] = np.asarray(value)
  with files.replacing(folder / _FILE) as temporary:
    np.savez(temporary, **arrays)  # type: ignore[arg-type]


def load(folder: pathlib.Path, like: Start) -> Start:
  """Read what `save` wrote.

  Args:
    folder: work folder of the run.
    like: a start of the same surface; its colours are replaced.

  Raises:
    ValueError: the file is missing or damaged; one line.
  """
  path = folder / _FILE
  if not path.is_file():
    raise ValueError(
      f'{path} is missing, so the run cannot be resumed; begin it anew in '
      'another workdir'
    )
  kept, tree = jax.tree.flatten(like.params.colors)
  # Without the 'or None' of what may be missing.
  annotations = first_image.FirstImage.__annotations__.items()
  fields = {k: (*typing.get_args(v), v)[0] for k, v in annotations}
  for i, leaf in enumerate(kept):
    shape = ' '.join(map(str, leaf.shape))
    fields[f'colors_{i}'] = Float[np.ndarray, shape]
  try:
    data = archives.read_arrays(path, fields, optional=_MAPS)
  except ValueError as error:
    raise ValueError(
      f'{path} is damaged ({error}), so the run cannot be resumed; begin it '
      'anew in another workdir'
    ) from error
  leaves = [jnp.asarray(data[f'colors_{i}']) for i in range(len(kept))]
  colors = jax.tree.unflatten(tree, leaves)
  return Start(
    params=like.params._replace(colors=colors),
    first=first_image.FirstImage(
      **{
        name: jnp.asarray(data[name])
        for name in first_image.FirstImage._fields
        if name in data
      }
    ),
  )
