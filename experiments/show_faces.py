r"""Draw what a person would look at: people, styles, the face of a photo.

python -m experiments.show_faces --what=people --out=out/people.png
python -m experiments.show_faces --what=people --count=5 --views=7 --size=192
python -m experiments.show_faces --what=styles --out=out/styles.png
python -m experiments.show_faces --what=styles --style=emoji --emoji=out/emoji
python -m experiments.show_faces --what=landmarks --image=me.jpg --out=me.png
python -m experiments.show_faces --what=light --image=me.jpg --out=light.png
"""

from absl import flags
import imageio.v3 as iio

from maskjax.data.people import sheets as people_sheets
from maskjax.data.styles import sheets as style_sheets
from maskjax.face import drawing, photo
from maskjax.training import files, flags as flags_lib

_WHAT = flags.DEFINE_enum(
  'what', 'people', ['people', 'styles', *drawing.SHEETS], 'What to draw.'
)
_OUT = flags_lib.define_folder('out', 'out/faces.png', 'Picture to write.')
_COUNT = flags.DEFINE_integer('count', 64, 'How many faces or people.', 1, 4096)
_VIEWS = flags.DEFINE_integer(
  'views', 1, 'Cameras of each person, in a row.', 1, 64
)
_SIZE = flags.DEFINE_integer(
  'size', 128, 'Pixels a side of each picture.', 16, 2048
)
_SEED = flags_lib.define_seed('Seed.')
_STYLE = flags.DEFINE_list('style', [], 'Styles to draw; empty: all of people.')
_EMOJI = flags.DEFINE_string('emoji', 'out/emoji', 'Folder for the emoji.')
_IMAGE = flags.DEFINE_string('image', '', "Photo; empty: the astronaut's.")
_FOVY = flags_lib.define_float(
  'fovy',
  photo.FOVY_DEGREES,
  "The photo's vertical angle of view, degrees.",
  1,
  170,
)


def main(argv: list[str]) -> None:
  """Draw and write one picture."""
  del argv
  seed, count, size = _SEED.value, _COUNT.value, _SIZE.value
  if _WHAT.value == 'people':
    picture = people_sheets.people_sheet(
      seed, count, views=_VIEWS.value, size=size
    )
  elif _WHAT.value == 'styles':
    picture = style_sheets.style_sheet(
      seed, count, _STYLE.value, size=size, folder=_EMOJI.value
    )
  else:
    name = _IMAGE.value or "the astronaut's photo"
    image = photo.read(_IMAGE.value) if _IMAGE.value else photo.astronaut()
    face = photo.look(image, name=name, fovy=_FOVY.value)
    if face.others:
      print(f'{name} has {face.others + 1} faces: this is the largest')
    picture = drawing.SHEETS[_WHAT.value](image, face)
  with files.replacing(_OUT.value) as temporary:
    iio.imwrite(temporary, picture)
  print(f'wrote {_OUT.value}')


if __name__ == '__main__':
  flags_lib.run(main)
