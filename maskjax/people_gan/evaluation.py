"""A generator of people measured and drawn, into a folder.

A StyleGAN2 is also set beside the EG3D whose student it was, where that is
given: the same latents should show the same people.

Shapes: X Y pixels of a sheet.
"""

import pathlib

from jaxtyping import UInt8
import numpy as np

from maskjax.evaluation import inception
from maskjax.gan import checkpoints, model as model_lib, student
from maskjax.geometry import color
from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  flat_pictures,
  metrics as people_metrics,
  pictures as people_pictures,
  presenters as people_presenters,
)
from maskjax.studio import sheets
from maskjax.training import files
from maskjax.weights import bundled

_PEOPLE = 32
# Of these, the first are drawn beside their EG3D.
_PAIRS = 8


def _compare(
  model: model_lib.Model,
  folder: files.PathLike,
  data: people_batches.SourceData,
) -> tuple[dict[str, float], list[UInt8[np.ndarray, 'y x 3']]]:
  """Set a StyleGAN2 beside its EG3D: what is alike, and a sheet's blocks."""
  camera = people_pictures.turned()
  among = data.camera.reshape(-1, 25)
  drawn, rendered = flat_pictures.pairs(
    model,
    checkpoints.load(folder),
    range(_PEOPLE),
    camera,
    student.standard_angles(camera, among),
  )
  blocks = [
    sheets.grid(list(color.signed_to_bytes(x[:_PAIRS])))
    for x in (drawn, rendered)
  ]
  return people_metrics.alike(drawn, rendered), blocks


def evaluate(
  request: people_metrics.Request,
  workdir: files.PathLike,
  *,
  data: files.PathLike,
  checkpoint: files.PathLike | None = None,
  beside: files.PathLike | None = None,
  look: people_metrics.Look | None = None,
) -> dict[str, float]:
  """Measure a generator; write results.json, people.png and pairs.png.

  Args:
    request: what to measure, and on how many.
    workdir: folder of the results; made where it is missing.
    data: folder of `experiments.make_faces` that it learnt from.
    checkpoint: model folder; None for the bundled EG3D.
    beside: model folder of the EG3D that shares the latents; None leaves
      pairs.png out.
    look: Inception's features of pictures, for FID and KID; None leaves both
      out.

  Returns:
    The content of results.json.

  Raises:
    FileNotFoundError: no such folder.
    ValueError: no generator, data of another size, or an EG3D of another
      student.
  """
  out = pathlib.Path(workdir)
  folder = checkpoint or bundled.bundled_path('source')
  model = checkpoints.load(folder)
  seen = people_batches.load(pathlib.Path(data))
  codes = people_codes.read(folder, len(seen.image))
  mean = None if codes is None else codes.mean
  alike: dict[str, float] = {}
  if beside:
    alike, blocks = _compare(model, beside, seen)
    people_pictures.save_sheet(out / 'pairs.png', blocks, times=2)
  values = people_metrics.measure(model, seen, mean, request, look) | alike
  files.write_json(out / 'results.json', values)
  sheet = people_presenters.crowd(model, range(_PEOPLE), psi=request.psi)
  people_pictures.save_sheet(out / 'people.png', sheet, times=2)
  return values


def open_inception(
  path: files.PathLike | None, preprocessing: str
) -> people_metrics.Look | None:
  """Read Inception-v3 for `evaluate`.

  Args:
    path: file of its weights; None for none.
    preprocessing: one of `inception.PREPROCESSING`.

  Returns:
    A function of pictures; None without a file.
  """
  if path is None:
    return None
  return inception.extractor(inception.load(path), how=preprocessing)
