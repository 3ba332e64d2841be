r"""Draw what a person would look at: people, styles, the face of a photo.

python -m experiments.show_faces --what=people --out=out/people.png
python -m experiments.show_faces --what=people --count=5 --views=7 --size=192
python -m experiments.show_faces --what=styles --out=out/styles.png
python -m experiments.show_faces --what=styles --style=emoji --emoji=out/emoji
python -m experiments.show_faces --what=landmarks --image=me.jpg --out=me.png
python -m experiments.show_faces --what=light --image=me.jpg --out=light.png
"""

from collections.abc import Callable

from absl import flags
import imageio.v3 as iio
import numpy as np

from maskjax.data.people import sheets as people_sheets
from maskjax.data.styles import art, drawn_people, sheets as style_sheets
from maskjax.face import drawing, photo
from maskjax.training import files, flags as flags_lib

_OUT = flags.DEFINE_string('out', 'out/faces.png', 'Picture to write.')
_COUNT = flags.DEFINE_integer('count', 64, 'How many faces or people.')
_VIEWS = flags.DEFINE_integer('views', 1, 'Cameras of each person, in a row.')
_SIZE = flags.DEFINE_integer('size', 128, 'Pixels a side of each picture.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed.')
_STYLE = flags.DEFINE_string(
  'style', '', 'Styles to draw, comma-separated; empty: all of people.'
)
_EMOJI = flags.DEFINE_string('emoji', 'out/emoji', 'Folder for the emoji.')
_IMAGE = flags.DEFINE_string('image', '', "Photo; empty: the astronaut's.")
_FOVY = flags.DEFINE_float(
  'fovy', photo.FOVY_DEGREES, "The photo's vertical angle of view, degrees."
)


def _people() -> np.ndarray:
  return people_sheets.people_sheet(
    _SEED.value, _COUNT.value, views=_VIEWS.value, size=_SIZE.value
  )


def _styles() -> np.ndarray:
  names = _STYLE.value.split(',') if _STYLE.value else drawn_people.NAMES
  folder = art.fetch_fluent(_EMOJI.value) if 'emoji' in names else ''
  return style_sheets.style_sheet(
    _SEED.value, _COUNT.value, tuple(names), size=_SIZE.value, emoji=str(folder)
  )


def _face() -> tuple[np.ndarray, photo.Face]:
  """Read the photo and look at its face."""
  name = _IMAGE.value or "the astronaut's photo"
  image = photo.read(_IMAGE.value) if _IMAGE.value else photo.astronaut()
  face = photo.look(image, name=name, fovy=_FOVY.value)
  if face.others:
    print(f'{name} has {face.others + 1} faces: this is the largest')
  return image, face


def _landmarks() -> np.ndarray:
  return drawing.landmark_sheet(*_face())


def _light() -> np.ndarray:
  return drawing.light_sheet(*_face())


# {what: function that returns a picture, uint8 [H, W, 3]}.
_DRAW: dict[str, Callable[[], np.ndarray]] = {
  'people': _people,
  'styles': _styles,
  'landmarks': _landmarks,
  'light': _light,
}
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
