"""The surface of our own masks: a face shell drawn over a plane.

The shell is a surface r(direction) around a point inside the head: a thin
plate spline through the canonical 468-point face in the middle and through
a rim behind it. Its plane is the azimuthal equidistant projection: the angle
from straight ahead, in radians, is the distance from the plane's origin.

Frame: cm, +x to the viewer's right, +y up, +z out of the face. Only the +x
half is outlined; the other half is its mirror image.

Shapes: N points, L points of a loop.
"""

from collections.abc import Sequence

from jaxtyping import Float
import numpy as np
import scipy.interpolate

from maskjax.geometry import canonical, planar

KINDS = ('plain', 'face')

_CENTRE = np.array([0.0, 0.6, -5.0])
_GRID = np.linspace(-2.0, 2.0, 129)  # radians from straight ahead
# How far the shell may pass by the canonical points (thin plate smoothing):
# next to nothing for `face`; `plain` keeps the head and a soft nose.
_SMOOTHING = {'face': 1e-3, 'plain': 0.4}
_NOSE_SMOOTHING = 0.3
_LIP_SMOOTHING = 0.03
_LIP_CORNERS = (61, 291, 62, 292, 76, 306, 57, 287, 78, 308)


def to_plane(
  points: Float[np.ndarray, 'n 3'],
) -> tuple[Float[np.ndarray, 'n 2'], Float[np.ndarray, 'n']]:
  """Project points from the shell's centre into its plane.

  Args:
    points: cm, not at the centre.

  Returns:
    Plane points in radians, and distances from the centre in cm.
  """
  offsets = points - _CENTRE
  radii = np.linalg.norm(offsets, axis=-1)
  angles = np.arccos(offsets[..., 2] / radii)
  across = np.maximum(np.hypot(offsets[..., 0], offsets[..., 1]), 1e-9)
  return offsets[..., :2] * (angles / across)[..., None], radii


def _rim_curve(count: int) -> Float[np.ndarray, 'n 3']:
  """Return the +x half of the rim from chin to crown, in cm."""
  turn = np.linspace(0.0, np.pi, count)
  sine, cosine = np.sin(turn), np.cos(turn)
  x = 8.7 * sine * (1.0 - 0.06 * cosine)  # narrower at the jaw
  y = 1.8 - np.where(cosine > 0.0, 12.2, 11.2) * cosine
  z = -4.2 - 2.6 * sine**2 + 0.9 * cosine  # furthest back at the ears
  curve = np.stack([x, y, z], -1)
  curve[[0, -1], 0] = 0.0
  return curve


def _smoothing(
  kind: str, vertices: Float[np.ndarray, '468 3']
) -> Float[np.ndarray, '468']:
  """Return the thin plate smoothing of every canonical vertex."""
  smoothing = np.full(len(vertices), _SMOOTHING[kind])
  if kind == 'plain':
    x, y, z = vertices.T
    nose = (np.abs(x) < 1.8) & (np.abs(y) < 2.6) & (z > 4.2)
    smoothing[nose] = _NOSE_SMOOTHING
  else:
    smoothing[[*canonical.INNER_LIPS, *_LIP_CORNERS]] = _LIP_SMOOTHING
  return smoothing


def surface(kind: str) -> planar.Embedding:
  """Return the shell as a function from plane points [N, 2] to cm [N, 3].

  Args:
    kind: one of KINDS.
  """
  vertices = canonical.load().vertices.astype(np.float64)
  half = _rim_curve(28)
  rim = np.concatenate([half, half[1:-1] * [-1.0, 1.0, 1.0]])
  plane, radii = to_plane(np.concatenate([vertices, rim]))
  smoothing = np.full(len(radii), 1e-3)
  smoothing[: len(vertices)] = _smoothing(kind, vertices)
  spline = scipy.interpolate.RBFInterpolator(plane, radii, smoothing=smoothing)
  grid = np.stack(np.meshgrid(_GRID, _GRID, indexing='ij'), -1)
  values = spline(grid.reshape(-1, 2)).reshape(grid.shape[:2])
  values = 0.5 * (values + values[::-1])
  radius = scipy.interpolate.RectBivariateSpline(_GRID, _GRID, values)

  def embed(points: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n 3']:
    angles = np.linalg.norm(points, axis=-1)
    sine = np.sinc(angles / np.pi)
    x, y, z = points[:, 0] * sine, points[:, 1] * sine, np.cos(angles)
    return _CENTRE + radius.ev(*points.T)[:, None] * np.stack([x, y, z], -1)

  return embed


def _eye_hole() -> Float[np.ndarray, '256 2']:
  """Return the +x eye hole in the plane: an almond around the lids."""
  vertices = canonical.load().vertices.astype(np.float64)
  lids, _ = to_plane(vertices[list(canonical.LEFT_EYE)])
  lids = np.concatenate([lids, lids[:1]])
  steps = np.linalg.norm(np.diff(lids, axis=0), axis=1)
  travelled = np.concatenate([[0.0], np.cumsum(steps)])
  stops = np.linspace(0.0, travelled[-1], 256, endpoint=False)
  x, y = (np.interp(stops, travelled, column) for column in lids.T)
  spectrum = np.fft.fft(x + 1j * y)
  spectrum[5:-4] = 0.0  # a smooth loop: low Fourier descriptors
  loop = np.fft.ifft(spectrum)
  loop = np.stack([loop.real, loop.imag], -1)
  # Canonical eyes are narrow: a mask's are wider, and open.
  return loop.mean(0) + (loop - loop.mean(0)) * [1.2, 2.2]


def _mouth_hole() -> Float[np.ndarray, '200 2']:
  """Return the +x half of the mouth hole in the plane, bottom to top."""
  vertices = canonical.load().vertices.astype(np.float64)
  lips, _ = to_plane(vertices[list(canonical.INNER_LIPS)])
  width = 1.12 * lips[:, 0].max()
  turn = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 200)
  x = width * np.cos(turn)
  opening = 0.06 * np.sin(turn) * np.abs(np.sin(turn)) ** 0.3
  y = lips[:, 1].mean() - 0.012 + 0.05 * np.cos(turn) ** 2 + opening
  x[[0, -1]] = 0.0
  return np.stack([x, y], -1)


def half_outline(
  kind: str,
  embed: planar.Embedding,
  size: planar.Sizing,
) -> tuple[Float[np.ndarray, 'l 2'], Sequence[Float[np.ndarray, '_ 2']]]:
  """Return the +x half's boundary in the plane, vertices already spaced.

  Args:
    kind: one of KINDS.
    embed: plane points [N, 2] -> surface points [N, 3].
    size: plane points [N, 2] -> wished edge length [N], cm.

  Returns:
    (outline, holes): anticlockwise from the chin; the vertices of the middle
    lie exactly on x = 0. The mouth is a bay of the outline, the eye a hole.
  """

  def line(
    start: Float[np.ndarray, '2'], end: Float[np.ndarray, '2']
  ) -> Float[np.ndarray, 'n 2']:
    weights = np.linspace(0.0, 1.0, 300)[:, None]
    return planar.resample(start + weights * (end - start), embed, size)

  rim = planar.resample(to_plane(_rim_curve(400))[0], embed, size)
  if kind == 'plain':
    parts, holes = [rim, line(rim[-1], rim[0])], []
  else:
    mouth = planar.resample(_mouth_hole(), embed, size)
    down, up = line(rim[-1], mouth[-1]), line(mouth[0], rim[0])
    parts = [rim, down, mouth[::-1], up]
    holes = [planar.resample(_eye_hole(), embed, size, closed=True)]
  outline = np.concatenate([part[:-1] for part in parts])
  return outline, holes
