r"""Measure how well faces are seen, on rendered people or on photos.

python -m experiments.evaluate_faces --workdir=out/evaluate_faces
python -m experiments.evaluate_faces --photos=photos --workdir=out/photos

With --photos (a folder of pictures for each person) only identities are
compared. Leaves results.json in the workdir. Finished people are kept: the
same command goes on where it was broken off.
"""

import pathlib

from absl import flags

from maskjax.evaluation import faces
from maskjax.training import files, flags as flags_lib

_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the results.')
_COUNT = flags.DEFINE_integer('count', 200, 'Rendered people.', 1, 10**6)
_SEED = flags_lib.define_seed('Seed of the people.', 1)
_PHOTOS = flags.DEFINE_string('photos', '', 'Folder of folders of photos.')


def main(argv: list[str]) -> None:
  """Measure and print the table."""
  del argv
  if _PHOTOS.value:
    results = {'identity': faces.evaluate_photos(_PHOTOS.value)}
    files.write_json(pathlib.Path(_WORKDIR.value) / 'results.json', results)
  else:
    results = faces.evaluate(
      _WORKDIR.value, count=_COUNT.value, seed=_SEED.value
    )
  print(faces.table(results))


if __name__ == '__main__':
  flags_lib.run(main)
