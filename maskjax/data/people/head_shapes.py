"""The shape of a head: a person's numbers and mimicry as vertices.

The head model's targets are summed, exaggerated where a style asks for it,
and scaled and moved so that the neutral face fits the canonical face.

Frame: the mesh frame, centimetres.

Shapes: `v` vertices of `head_model`.
"""

from jaxtyping import Float
import numpy as np

from maskjax.data.people import head_model, people
from maskjax.geometry import canonical


def fit_canonical(
  points: Float[np.ndarray, '468 3'],
) -> tuple[float, Float[np.ndarray, '3']]:
  """Return scale and shift (cm) that move points onto the canonical face.

  Args:
    points: the canonical face's landmarks on a head, cm.
  """
  face = canonical.load()
  chosen, weights = face.procrustes_landmarks, face.procrustes_weights
  source, target = points[chosen], face.vertices[chosen].astype(float)
  weights = weights[:, None] / weights.sum()
  middles = (weights * source).sum(0), (weights * target).sum(0)
  spreads = [
    np.sqrt((weights * (p - m) ** 2).sum())
    for p, m in zip((source, target), middles)
  ]
  scale = float(spreads[1] / spreads[0])
  return scale, middles[1] - scale * middles[0]


def _bump(
  distance: Float[np.ndarray, 'v'], inner: float, outer: float
) -> Float[np.ndarray, 'v 1']:
  """Return 1 within `inner`, 0 beyond `outer`, smooth between."""
  t = np.clip((outer - distance) / (outer - inner), 0, 1)
  return (t * t * (3 - 2 * t))[..., None]


def _toon(
  life: Float[np.ndarray, 'v 3'], amount: float
) -> Float[np.ndarray, 'v 3']:
  """Return large eyes and skull, small nose and chin, a thin neck.

  Where something is, is asked at rest: there the same numbers name it on
  every head.
  """
  points = head_model.landmarks(life)
  rest = head_model.rest()
  result = life.copy()
  # The nose shrinks toward its root between the eyes, the jaw to the axis.
  base = points[[48, 278, 2]].mean(0) - [0, -0.4, 0.6]
  near = _bump(np.linalg.norm(rest - [0, -0.3, 5.6], axis=-1), 0.8, 2.6)
  result += amount * 0.32 * near * (base - result)
  low = np.clip((-2.0 - rest[:, 1]) / 6.0, 0, 1)[:, None]
  result *= 1 - amount * low * [0.1, 0, 0.0]
  neck = np.clip((-7.0 - rest[:, 1]) / 2.5, 0, 1)[:, None]
  back = np.array([0.0, 0.0, -4.5])
  result += amount * 0.3 * neck * ((back - result) * [1, 0, 1])
  high = np.clip((rest[:, 1] - 3.0) / 8.0, 0, 1)[:, None]
  result += amount * high * (result - [0, 3.0, -3.0]) * [0.13, 0.12, 0.1]
  for part in (head_model.LEFT_EYE, head_model.RIGHT_EYE):
    rows = head_model.part_vertices(part)
    middle = life[rows].mean(0) * [1.06, 1, 1]
    gap = (life - middle) * [1.0, 1.0, 0.8]
    same = np.sign(life[:, :1]) == np.sign(middle[0])
    grow = 0.72 * amount * _bump(np.linalg.norm(gap, axis=-1), 1.7, 3.9) * same
    grow[rows] = 0.72 * amount
    result += grow * (life - middle) * [0.95, 1.2, 0.7]
  return result


def vertices(params: people.PersonParams) -> Float[np.ndarray, 'v 3']:
  """Return the vertices of the head model for a person, with expression.

  Args:
    params: who.

  Returns:
    Centimetres; the neutral face fits the canonical face.
  """
  whole = head_model.whole_head(
    params.regions,
    male=params.male,
    age=params.age,
    muscle=params.muscle,
    weight=params.weight,
  )
  factor = params.exaggeration
  # Lips and lids would pass through each other where noses only grow.
  most = {'mouth': 1.0, 'eyes': 1.0, 'asym': 0.5}
  shape = {
    name: min(factor * value, most.get(name.split('/')[0], 2.2))
    for name, value in params.shape.items()
  }
  mean = head_model.rest()
  unlike = head_model.morph(whole) - mean
  personal = head_model.morph(shape) - head_model.morph({})
  neutral = mean + factor * unlike + personal
  scale, shift = fit_canonical(head_model.landmarks(neutral))
  units = {f'arkit/{name}': value for name, value in params.units.items()}
  moved = head_model.morph(units) - head_model.morph({}) if units else 0.0
  result = scale * (neutral + moved) + shift
  return _toon(result, params.toon) if params.toon else result
