"""The files that a user gets of a mask.

Shapes: `h w` pixels of the preview.
"""

import dataclasses
import json
import pathlib
from typing import Any

from jaxtyping import UInt8
import numpy as np

import maskjax
from maskjax.geometry import mesh as mesh_lib, mesh_io
from maskjax.mask import (
  preview,
  settings as settings_lib,
  start as start_lib,
  surface as surface_lib,
  trainable,
)
from maskjax.training import media, settings as read_lib


def _extras(settings: settings_lib.MaskSettings, steps: int) -> dict[str, Any]:
  """Say in the mask's file how it was made; a resumed run says the same."""
  left_out = read_lib.changeable(settings) + read_lib.commands(settings)
  fields = json.loads(json.dumps(dataclasses.asdict(settings), sort_keys=True))
  return {
    'prompt': settings.prompt,
    'seed': settings.seed,
    'steps': steps,
    'config': {k: v for k, v in fields.items() if k not in left_out},
    'generator': f'maskjax {maskjax.__version__}',
  }


def draw(
  surface: surface_lib.Surface,
  start: start_lib.Start,
  mesh: mesh_lib.Mesh,
  settings: settings_lib.MaskSettings,
) -> UInt8[np.ndarray, 'h w 3']:
  """Return the preview of a finished mask: start, first image, result.

  Args:
    surface: the fixed part of the mask.
    start: what the loop began from.
    mesh: the finished mask, cm.
    settings: all settings of the mask.
  """
  return preview.mask_sheet(
    settings.prompt,
    surface_lib.assemble(
      surface, start.params, bound=settings.optimizer.offset_bound
    ),
    None if start.first is None else start.first.image,
    mesh,
    size=settings.preview_size,
  )


def save(
  folder: pathlib.Path,
  surface: surface_lib.Surface,
  start: start_lib.Start,
  params: trainable.MaskParams,
  settings: settings_lib.MaskSettings,
  *,
  steps: int,
) -> dict[str, Any]:
  """Write the mask, its pictures and its video.

  Args:
    folder: work folder of the run.
    surface: the fixed part of the mask.
    start: what the loop began from.
    params: what it ended with.
    settings: all settings of the mask.
    steps: number of finished steps.

  Returns:
    The sizes of the files in bytes, and the report of soundness.
  """
  mesh, sound = surface_lib.finish(surface, params, settings)
  written = [folder / f'mask.{suffix}' for suffix in settings.formats]
  for path in written:
    mesh_io.save_mesh(path, mesh, extras=_extras(settings, steps))
  picture = draw(surface, start, mesh, settings)
  media.save_png(folder / 'preview.png', picture)
  preview.save_turntable(
    folder / 'turntable.mp4',
    mesh,
    frames=settings.turntable_frames,
    size=settings.preview_size + settings.preview_size // 2,
  )
  return {
    'files': {path.name: path.stat().st_size for path in written},
    'soundness': sound._asdict(),
  }
