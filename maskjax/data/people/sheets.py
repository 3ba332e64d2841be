"""Contact sheets: many small pictures of faces side by side, for the eye."""

from jaxtyping import UInt8
import numpy as np

from maskjax.data.people import face_images, people
from maskjax.studio import sheets


def people_sheet(
  seed: int, count: int, *, views: int = 1, size: int = 128
) -> UInt8[np.ndarray, 'H W 3']:
  """Draw people at random.

  Args:
    seed: of the people.
    count: how many.
    views: cameras of each; more than one give a row to each person.
    size: pixels a side of each picture.

  Returns:
    The sheet, sRGB.
  """
  pictures: list[np.ndarray] = []
  for identity in range(count):
    rng = np.random.default_rng([seed, identity])
    params = people.sample_person(rng, identity=identity)
    taken = face_images.photograph(
      rng, params, views=views, size=size, samples=max(2, 192 // size)
    )
    pictures += list(taken['rgb'])
  columns = views if views > 1 else None
  return sheets.grid(sheets.in_rows(pictures, columns))
