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

from absl import flags

from maskjax.evaluation import inception
from maskjax.people_gan import evaluation, metrics as people_metrics
from maskjax.training import flags as flags_lib

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Model folder.')
_DATA = flags.DEFINE_string('data', 'out/source_faces', 'Of make_faces.')
_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the results.')
_BESIDE = flags.DEFINE_string(
  'beside', None, 'Model folder of the EG3D that shares the latents.'
)
flags.DEFINE_integer('pictures', 2000, 'Of the distributions.')
flags.DEFINE_integer('scenes', 200, 'Known people, for depth.')
flags.DEFINE_integer('identities', 60, 'New people, turned.')
flags.DEFINE_float('psi', 1.0, 'Truncation, 1 for none.')
_INCEPTION = flags.DEFINE_string(
  'inception', None, 'Weights of Inception-v3, for FID and KID.'
)
_PREPROCESSING = flags.DEFINE_enum(
  'preprocessing', 'pytorch-fid', inception.PREPROCESSING, 'For Inception.'
)
flags.DEFINE_integer('seed', 0, 'Of latents and cameras.')


def main(argv: list[str]) -> None:
  """Measure, draw and print the table."""
  del argv
  values = evaluation.evaluate(
    flags_lib.read(people_metrics.Request),
    _WORKDIR.value,
    data=_DATA.value,
    checkpoint=_CHECKPOINT.value,
    beside=_BESIDE.value,
    look=evaluation.open_inception(_INCEPTION.value, _PREPROCESSING.value),
  )
  print(people_metrics.table(values))


if __name__ == '__main__':
  flags_lib.run(main)
