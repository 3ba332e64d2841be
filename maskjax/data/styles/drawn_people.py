"""People drawn in a style: the heads of `people`, exaggerated or rounded.

A style is a `Hand`: how it builds people, lights them, and draws what the
renderer knows of them. A learner is given no cameras; the true ones stay
beside the pictures for evaluation.

Shapes: `s` pixels a side, `h w` pixels of the larger picture that is drawn.
"""

from collections.abc import Callable, Iterator
import dataclasses
import functools

import jax.numpy as jnp
from jaxtyping import Float
import numpy as np
import skimage.draw

from maskjax.data.people import (
  face_images,
  heads,
  people,
  portrait,
  scenes,
  skin as skin_lib,
  words as people_words,
)
from maskjax.data.styles import drawing as drawing_lib, style as style_lib
from maskjax.geometry import (
  camera as camera_lib,
  canonical,
  color,
  ffhq,
)
from maskjax.render import lights as lights_lib

SOURCE = style_lib.Source('people', face_images.sources)
# Pictures are drawn this many pixels a side at least, then averaged down.
_DRAWN = 256
# Depth of the background, cm: beyond every head, so that outlines are inked.
_FAR = 150.0


def clear_light(rng: np.random.Generator, tone: float) -> lights_lib.Lights:
  """Return one clear light from a side, as drawings need it.

  Args:
    rng: draws the side.
    tone: of the skin, from 0 (fair) to 1 (dark).
  """
  lights = scenes.sample_lights(rng, 1 + 0.6 * tone)
  side = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.9))
  direction = np.array([[side, 0.7, 0.8], [-side, 0.3, -0.5]])
  direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
  white = np.full((2, 3), 0.62) * [[1.0], [0.2]]
  return dataclasses.replace(
    lights,
    ambient=jnp.full(3, 0.3),
    harmonics=jnp.zeros((9, 3)),
    directions=jnp.asarray(direction, jnp.float32),
    direction_colors=jnp.asarray(white, jnp.float32),
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hand:
  """How a style draws people.

  Attributes:
    name: of the style.
    shape: maps a person, and random numbers for how far the style goes, to
      how they are built in it; the identity stays.
    draw: maps what is known of a head to the picture, sRGB in [0, 1].
    light: maps random numbers and the tone of the skin to the lights.
    finish: how the renderer shades the photo, of `portrait_shading.STYLES`.
    bare: whether bare colours and the light on grey are drawn from; without,
      the photo and its coverage stand in for them.
  """

  name: str
  shape: Callable[
    [people.PersonParams, np.random.Generator], people.PersonParams
  ]
  draw: Callable[[drawing_lib.Drawing], Float[np.ndarray, 'h w 3']]
  light: Callable[[np.random.Generator, float], lights_lib.Lights] = clear_light
  finish: str = 'photo'
  bare: bool = True


def clean_skin(skin: skin_lib.Skin, *, wrinkles: float) -> skin_lib.Skin:
  """Return a skin as it is drawn: even, with strong brows.

  Args:
    skin: as it is in life.
    wrinkles: factor on them.
  """
  return skin._replace(
    uneven=0.15 * skin.uneven,
    brow_width=1.25 * skin.brow_width,
    brow_strength=0.97,
    wrinkles=wrinkles * skin.wrinkles,
  )


def rounded(
  params: people.PersonParams,
  rng: np.random.Generator,
  *,
  most: float,
  toon: float,
) -> people.PersonParams:
  """Return a person exaggerated and made a toon, both by chance.

  Args:
    params: who.
    rng: draws how far both go.
    most: the largest exaggeration; 1 is life.
    toon: the largest `people.PersonParams.toon`.
  """
  return dataclasses.replace(
    params,
    exaggeration=float(rng.uniform(1.0, most)),
    toon=float(rng.uniform(0.5, 1.0)) * toon,
    skin=clean_skin(params.skin, wrinkles=0.5),
  )


def _eyes(pictures: portrait.Portraits, size: int) -> Float[np.ndarray, 'h w']:
  """Return where the eyes are, unless something hides them, in [0, 1]."""
  points = np.asarray(pictures.landmarks[0]) * size
  depths = np.asarray(pictures.landmark_depths[0])
  depth = np.asarray(pictures.depth[0])
  result = np.zeros((size, size))
  for loop in (canonical.LEFT_EYE, canonical.RIGHT_EYE):
    outline = points[list(loop)]
    column, row = np.clip(outline.mean(0).astype(int), 0, size - 1)
    # Hair or glasses lie more than a centimetre before the lids.
    hidden = depth[row, column] < depths[list(loop)].mean() - 1.2
    if not hidden:
      rows, columns = skimage.draw.polygon(
        outline[:, 1], outline[:, 0], result.shape
      )
      result[rows, columns] = 1
  return drawing_lib.blur(result, 0.6)


def _srgb(pictures: portrait.Portraits) -> Float[np.ndarray, 'h w 3']:
  return np.asarray(color.linear_to_srgb(pictures.rgb[0]), np.float64)


def _drawing(
  take: Callable[..., portrait.Portraits],
  hand: Hand,
  rng: np.random.Generator,
  *,
  size: int,
  pixel: float,
) -> tuple[drawing_lib.Drawing, portrait.Portraits]:
  """Render what a hand draws from, and return the photo beside it.

  Args:
    take: renders the head by a word of `portrait_shading.STYLES`, `style`.
    hand: the style.
    rng: for its strokes.
    size: pixels a side of the rendered pictures.
    pixel: as in `drawing.Drawing`.
  """
  photo = take(style=hand.finish)
  alpha = np.asarray(photo.alpha[0], np.float64)
  flat, light = _srgb(photo), alpha
  if hand.bare:
    flat = _srgb(take(style='flat'))
    light = np.asarray(take(style='light').rgb[0]).mean(-1)
  drawing = drawing_lib.Drawing(
    photo=_srgb(photo),
    flat=flat,
    light=light,
    depth=np.where(alpha > 0, np.asarray(photo.depth[0]), _FAR),
    normals=np.asarray(photo.normals[0], np.float64),
    alpha=alpha,
    eyes=_eyes(photo, size),
    pixel=pixel,
    rng=rng,
  )
  return drawing, photo


def draw(
  params: people.PersonParams,
  hand: Hand,
  rng: np.random.Generator,
  *,
  size: int,
  yaw: float = 0.22,
  pitch: float = 0.1,
) -> style_lib.StylePicture:
  """Draw one person in a style.

  Args:
    params: who, with expression.
    hand: how.
    rng: draws the camera, the light and the strokes.
    size: pixels a side.
    yaw: standard deviation of the cameras' azimuths, radians.
    pitch: likewise, of their elevations.

  Returns:
    The picture, with camera and landmarks.
  """
  shaped = hand.shape(params, rng)
  head = heads.build_head(shaped)
  azimuth, elevation = face_images.sample_cameras(rng, 1, yaw=yaw, pitch=pitch)
  camera = ffhq.orbit(azimuth, elevation)
  lights = hand.light(rng, shaped.skin.tone)
  times = max(2, -(-_DRAWN // size))
  take = functools.partial(
    portrait.render_person,
    head, camera, lights,
    size=size * times, samples=1,
    backdrop=scenes.sample_backdrop(rng),
    arriving=portrait.illuminate(head, lights),
  )  # fmt: skip
  drawing, photo = _drawing(
    take, hand, rng, size=size * times, pixel=size * times / 128
  )
  large = hand.draw(drawing)
  small = large.reshape(size, times, size, times, 3).mean((1, 3))
  vector = camera_lib.to_vector25(ffhq.to_units(camera))[0]
  return style_lib.StylePicture(
    image=color.to_bytes(small),
    caption=f'a {hand.name} of {people_words.describe(params)}',
    attributes=people_words.attributes(params),
    camera=np.asarray(vector, np.float32),
    landmarks=np.asarray(photo.landmarks[0], np.float32),
    identity=params.identity,
  )


def pictures(
  hand: Hand, *, seed: int = 0, size: int = 64, start: int = 0
) -> Iterator[style_lib.StylePicture]:
  """Draw people in a style, one after the other, without end.

  Args:
    hand: the style.
    seed: of the people; one seed gives the same people in every style, and
      those of `face_images` with that seed.
    size: pixels a side.
    start: the first identity.

  Yields:
    Pictures of the identities `start`, `start + 1`, ...
  """
  identity = start
  while True:
    rng = np.random.default_rng([seed, identity])
    params = people.sample_person(rng, identity=identity)
    strokes = np.random.default_rng([seed, identity, 1])
    yield draw(params, hand, strokes, size=size)
    identity += 1


def style(hand: Hand, *, second: str = '') -> style_lib.Style:
  """Return the style of a hand; `second` as in `style.Style`."""
  return style_lib.Style(
    name=hand.name,
    source=SOURCE,
    pictures=functools.partial(pictures, hand),
    second=second,
  )
