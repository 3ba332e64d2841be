r"""Draw what a person would look at: contact sheets of people and styles.

python -m experiments.show_faces --what=people --out=out/people.png
python -m experiments.show_faces --what=people --count=5 --views=7 --size=192
"""

from collections.abc import Callable

from absl import flags
import imageio.v3 as iio
import numpy as np

from maskjax.data import face_sheets
from maskjax.training import files
from maskjax.training import flags as flags_lib

_OUT = flags.DEFINE_string('out', 'out/faces.png', 'Picture to write.')
_COUNT = flags.DEFINE_integer('count', 64, 'How many faces or people.')
_VIEWS = flags.DEFINE_integer('views', 1, 'Cameras of each person, in a row.')
_SIZE = flags.DEFINE_integer('size', 128, 'Pixels a side of each picture.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed.')


def _people() -> np.ndarray:
  return face_sheets.people_sheet(
    _SEED.value, _COUNT.value, views=_VIEWS.value, size=_SIZE.value
  )


# {what: function that returns a picture, uint8 [H, W, 3]}.
_DRAW: dict[str, Callable[[], np.ndarray]] = {'people': _people}
_WHAT = flags.DEFINE_enum('what', 'people', list(_DRAW), 'What to draw.')


def main(argv: list[str]) -> None:
  """Draw and write one picture."""
  del argv
  picture = _DRAW[_WHAT.value]()
  with files.replacing(_OUT.value) as temporary:
    iio.imwrite(temporary, picture)
  print(f'wrote {_OUT.value}')


if __name__ == '__main__':
  flags_lib.run(main)
