r"""Measure a source domain: pictures, depth, turn, identity, speed.

  python -m experiments.evaluate_source --checkpoint=out/source/model \
    --data=out/source_faces --workdir=out/evaluate_source

Without --checkpoint the bundled model is measured. Leaves results.json and
people.png: 32 people that nobody has seen, from five sides each. With
--inception, a file of Inception-v3's weights, FID and KID are among the
numbers. A StyleGAN2 is measured by its pictures alone; with --beside, the
folder of the EG3D whose student it was, also by whether the same latents show
the same people, and pairs.png has what it draws and what the EG3D renders:

  python -m experiments.evaluate_source --checkpoint=maskjax/assets/people2d \
    --beside=maskjax/assets/source --workdir=out/evaluate_people2d
"""

import pathlib

from absl import flags

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
from maskjax.training import files, flags as flags_lib
from maskjax.weights import bundled

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Model folder.')
_DATA = flags.DEFINE_string('data', 'out/source_faces', 'Of make_faces.')
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of the results.', required=True
)
_BESIDE = flags.DEFINE_string(
  'beside', None, 'Model folder of the EG3D that shares the latents.'
)
_PICTURES = flags.DEFINE_integer('pictures', 2000, 'Of the distributions.')
_SCENES = flags.DEFINE_integer('scenes', 200, 'Known people, for depth.')
_IDENTITIES = flags.DEFINE_integer('identities', 60, 'New people, turned.')
_PSI = flags.DEFINE_float('psi', 1.0, 'Truncation, 1 for none.')
_INCEPTION = flags.DEFINE_string(
  'inception', None, 'Weights of Inception-v3, for FID and KID.'
)
_PREPROCESSING = flags.DEFINE_enum(
  'preprocessing', 'pytorch-fid', inception.PREPROCESSING, 'For Inception.'
)
_SEED = flags.DEFINE_integer('seed', 0, 'Of latents and cameras.')


def _compare(
  model: model_lib.Model, folder: str, data: people_batches.SourceData
):
  """Set a StyleGAN2 beside its EG3D: what is alike, and a sheet."""
  camera = people_pictures.turned()
  among = data.camera.reshape(-1, 25)
  drawn, rendered = flat_pictures.pairs(
    model,
    checkpoints.load(folder),
    range(32),
    camera,
    student.standard_angles(camera, among),
  )
  blocks = [
    sheets.grid(list(color.signed_to_bytes(x[:8]))) for x in (drawn, rendered)
  ]
  return people_metrics.alike(drawn, rendered), blocks


def main(argv: list[str]) -> None:
  """Measure, draw and print the table."""
  del argv
  look = None
  if _INCEPTION.value:
    params = inception.load(_INCEPTION.value)
    look = inception.extractor(params, how=_PREPROCESSING.value)
  folder = _CHECKPOINT.value or bundled.bundled_path('source')
  model, out = checkpoints.load(folder), pathlib.Path(_WORKDIR.value)
  data = people_batches.load(pathlib.Path(_DATA.value))
  codes = people_codes.read(folder, len(data.image))
  mean = None if codes is None else codes.mean
  request = people_metrics.Request(
    pictures=_PICTURES.value,
    scenes=_SCENES.value,
    identities=_IDENTITIES.value,
    psi=_PSI.value,
    seed=_SEED.value,
  )
  alike: dict[str, float] = {}
  if _BESIDE.value:
    alike, blocks = _compare(model, _BESIDE.value, data)
    people_pictures.save_sheet(out / 'pairs.png', blocks, times=2)
  values = people_metrics.measure(model, data, mean, request, look)
  values |= alike
  files.write_json(out / 'results.json', values)
  sheet = people_presenters.crowd(model, range(32), psi=_PSI.value)
  people_pictures.save_sheet(out / 'people.png', sheet, times=2)
  print(people_metrics.table(values))


if __name__ == '__main__':
  flags_lib.run(main)
