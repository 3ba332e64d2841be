"""Creatures: mask-like heads with known shape, colour and name.

`sample_parameters` draws a head of a kind that words describe, `build` turns
it into a coloured mesh; the same parameters always give the same mesh. Heads
stand in the frame of the canonical face: centimetres, +x to the viewer's
right, +y up, +z out of the face. They are modelled in the proportions of a
head 15 cm wide and enlarged by `SCALE`, so that a mask of them covers the
head of whoever wears it; they are open at the back (z = -7.5 cm).
"""

from collections.abc import Sequence
import functools

from jaxtyping import Float
import numpy as np

from maskjax.data.creatures import anatomy, coats, sculpt, table, traits
from maskjax.geometry import mesh as meshes

MODIFIERS = traits.MODIFIERS
KINDS = tuple(table.KINDS)
SCALE = 1.25
LOW = SCALE * np.array([-15.0, -15.0, -8.0], np.float32)
HIGH = SCALE * np.array([15.0, 17.0, 16.0], np.float32)


def mean_parameters(kind: str) -> traits.Traits:
  """Return the parameters of a kind's mean head.

  Raises:
    ValueError: the kind is not one of `KINDS`.
  """
  return traits.mean(kind, table.get(kind).palette)


def sample_parameters(
  rng: np.random.Generator, kind: str, modifiers: Sequence[str] = ()
) -> traits.Traits:
  """Draw a head of a kind.

  Args:
    rng: advanced by the draw.
    kind: one of `KINDS`.
    modifiers: words of `MODIFIERS` that hold for the head.

  Returns:
    Parameters for `build`.

  Raises:
    ValueError: an unknown kind or modifier.
  """
  row = table.get(kind)
  return traits.sample(
    rng, kind, modifiers, palette=row.palette, breeds=row.breeds
  )


def model(params: traits.Traits) -> anatomy.Head:
  """Return the strokes of a head, before it is stretched and meshed."""
  return table.get(params.kind).model(params)


def _stretch(params: traits.Traits) -> np.ndarray:
  factors = [params.width, params.height, params.depth]
  return SCALE * np.array(factors, np.float32)


def _keep_within(points: np.ndarray) -> np.ndarray:
  """Bend what reaches into the last 4 cm of the box back, smoothly."""
  knee = 3.0 * SCALE
  over = np.maximum(points - (HIGH - knee), 0)
  points = points - over + knee * np.tanh(over / knee)
  over = np.maximum((LOW + knee) - points, 0) * np.array([1, 1, 0])
  points = points + over - knee * np.tanh(over / knee)
  return points.astype(np.float32)


def build(
  params: traits.Traits, *, spacing: float | None = None
) -> meshes.Mesh:
  """Return the head of parameters as a coloured mesh.

  Args:
    params: of `sample_parameters` or `mean_parameters`.
    spacing: of the sampling grid in cm; None fits it to the head, which
      gives 9k-16k faces.

  Returns:
    Mesh with vertices in cm, inside the box `LOW`..`HIGH`, and linear RGB
    vertex colours in [0, 1]; creases are a little darkened.
  """
  head = model(params)
  finish = None
  if params.material:
    finish = coats.material(params.material, params.seed)
  vertices, faces, colors = sculpt.mesh_arrays(
    head.strokes, spacing=spacing, finish=finish
  )
  vertices = _keep_within(vertices * _stretch(params))
  return meshes.from_numpy(vertices, faces, colors=colors)


@functools.lru_cache(maxsize=64)
def mean_shape(kind: str) -> meshes.Mesh:
  """Return a kind's mean head, its true shape for evaluation."""
  return build(mean_parameters(kind))


def landmarks(params: traits.Traits) -> dict[str, Float[np.ndarray, '3']]:
  """Return the centres (cm) of 'left_eye' (x < 0), 'right_eye', 'mouth'."""
  head = model(params)
  eye = head.eye * _stretch(params)
  return {
    'left_eye': eye * np.array([-1, 1, 1], np.float32),
    'right_eye': eye,
    'mouth': head.mouth * _stretch(params),
  }
