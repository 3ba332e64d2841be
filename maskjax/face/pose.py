"""Where a head is and how it is turned, from the points of its face.

A pose is told as a camera in the head's frame, the frame of meshes here
(+x to the viewer's right, +y up, +z out of the face, centimetres): what is
modelled on the canonical face is rendered by that camera right onto the
photo.

Two ways lead to it. `head_pose` takes the camera's angle of view as known and
fits the canonical face rigidly to the 3D points (weighted orthogonal
Procrustes analysis: Schoenemann 1966; Umeyama 1991, equations 39 to 42).
`fit_camera` looks at the 2D points alone and finds the angle of view as well,
by Levenberg-Marquardt steps on the reprojection error.

Shapes: `n` points.
"""

from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.geometry import camera as camera_lib, canonical, safe

# Vertical angle of view, degrees, of the camera that the canonical face and
# MediaPipe's own poses assume.
FOVY_DEGREES = 63.0
# The usual error of a point's image, in image heights.
_REPROJECTION = 0.002
_HIGHEST = lax.Precision.HIGHEST


class Similarity(NamedTuple):
  """The map x -> scale * rotation @ x + translation."""

  rotation: Float[Array, '3 3']
  translation: Float[Array, '3']
  scale: Float[Array, '']


class HeadPose(NamedTuple):
  """A head in front of a camera.

  Attributes:
    camera: in the head's frame, of a head of the canonical face's size.
    points: the person's 468 points in the head's frame, cm.
    error: root mean square distance of the points that fix the pose from the
      canonical face, cm (`head_pose`) or of their images in image heights
      (`fit_camera`).
  """

  camera: camera_lib.Camera
  points: Float[Array, '468 3']
  error: Float[Array, '']


def procrustes_weights() -> Float[Array, '468']:
  """Return the weight of each canonical point in a pose; they sum to 1."""
  face = canonical.load()
  weights = jnp.zeros(len(face.vertices))
  weights = weights.at[face.procrustes_landmarks].set(face.procrustes_weights)
  return weights / jnp.sum(weights)


def weighted_procrustes(
  source: Float[Array, 'n 3'],
  target: Float[Array, 'n 3'],
  weights: Float[Array, 'n'],
) -> Similarity:
  """Find the similarity that carries points onto others.

  Minimises sum(weights * |scale * rotation @ source + translation - target|^2)
  over proper rotations.

  Args:
    source: points; not all on a line.
    target: where each of them should go.
    weights: not negative, not all 0.
  """
  weights = weights / jnp.sum(weights)
  source_mean, target_mean = weights @ source, weights @ target
  centred = source - source_mean[None]
  moved = target - target_mean[None]
  # Umeyama, equations 39 to 42: R = U S V^T, S turning a reflection into a
  # rotation, c = tr(D S) / sigma_x^2, t = mu_y - c R mu_x.
  covariance = jnp.matmul(
    (weights[:, None] * moved).T, centred, precision=_HIGHEST
  )
  u, singular, vt = jnp.linalg.svd(covariance)
  sign = jnp.sign(jnp.linalg.det(u) * jnp.linalg.det(vt))
  flip = jnp.stack([jnp.ones(()), jnp.ones(()), sign])
  rotation = jnp.matmul(u * flip[None], vt, precision=_HIGHEST)
  spread = jnp.sum(weights * jnp.sum(centred**2, -1))
  scale = safe.safe_divide(jnp.sum(singular * flip), spread)
  return Similarity(
    rotation, target_mean - scale * (rotation @ source_mean), scale
  )


def _to_opencv(points: Float[Array, 'n 3']) -> Float[Array, 'n 3']:
  """Turn points from +y up, +z to the viewer to +y down, +z away, or back."""
  return points * jnp.array([[1.0, -1.0, -1.0]])


def _camera(
  rotation: Float[Array, '3 3'],
  translation: Float[Array, '3'],
  intrinsics: Float[Array, '3 3'],
) -> camera_lib.Camera:
  """Build a camera from the map of the head's frame into its own."""
  top = jnp.concatenate([rotation, translation[:, None]], 1)
  world2cam = jnp.concatenate([top, jnp.array([[0.0, 0.0, 0.0, 1.0]])])
  return camera_lib.Camera(camera_lib.invert_pose(world2cam), intrinsics)


def photo_intrinsics(
  height: int, width: int, fovy: float | Float[Array, ''] = FOVY_DEGREES
) -> Float[Array, '3 3']:
  """Build the intrinsics of a photo with square pixels.

  Args:
    height: height of the photo, pixels.
    width: width of the photo, pixels.
    fovy: full vertical angle of view, degrees.
  """
  square = camera_lib.intrinsics_from_fov(fovy)
  return square.at[0, 0].multiply(height / width)


def _lift(
  points: Float[Array, 'n 2'],
  depths: Float[Array, 'n'],
  intrinsics: Float[Array, '3 3'],
) -> Float[Array, 'n 3']:
  """Move image points to depths in the camera's frame, cm."""
  focal = jnp.stack([intrinsics[0, 0], intrinsics[1, 1]])
  rays = (points - intrinsics[:2, 2][None]) / focal[None]
  return jnp.concatenate([rays * depths[:, None], depths[:, None]], 1)


def head_pose(
  points: Float[Array, '468 3'],
  height: int,
  width: int,
  *,
  fovy: float | Float[Array, ''] = FOVY_DEGREES,
  steps: int = 5,
) -> HeadPose:
  """Find the pose of a head from its 3D points, for a known camera.

  The points' depths are relative, and all lengths are in image widths. So the
  distance is guessed from the face's size, the points are moved to that
  distance, the face is fitted to them, and its size there betters the guess;
  five rounds leave less than a hundredth of a millimetre.

  Args:
    points: of `landmarks.Landmarks`, image coordinates.
    height: height of the photo, pixels.
    width: width of the photo, pixels.
    fovy: full vertical angle of view of the camera, degrees.
    steps: how many rounds to take.

  Returns:
    The pose, differentiable in points and fovy. A head larger than the
    canonical one is told as nearer.
  """
  intrinsics = photo_intrinsics(height, width, fovy)
  weights = procrustes_weights()
  face = _to_opencv(jnp.asarray(canonical.load().vertices))
  aspect = jnp.array([[1.0, height / width, 1.0]])
  first = weighted_procrustes(face, points * aspect, weights)
  middle = weights @ points[:, 2]
  distance = intrinsics[0, 0] / first.scale
  for _ in range(steps):
    relative = (points[:, 2] - middle) * distance / intrinsics[0, 0]
    lifted = _lift(points[:, :2], distance + relative, intrinsics)
    fit = weighted_procrustes(face, lifted, weights)
    distance = distance / fit.scale
  # The last round's face is unit sized up to the rounds' error; take it so.
  lifted = lifted / fit.scale
  translation = fit.translation / fit.scale
  own = _to_opencv((lifted - translation[None]) @ fit.rotation)
  away = jnp.sum((own - _to_opencv(face)) ** 2, -1)
  return HeadPose(
    camera=_camera(_to_opencv(fit.rotation), translation, intrinsics),
    points=own,
    error=safe.safe_sqrt(weights @ away),
  )


def rotation_matrix(vector: Float[Array, '3']) -> Float[Array, '3 3']:
  """Build the rotation about an axis by its length in radians (Rodrigues).

  Its gradient at 0 is that of small rotations.
  """
  squared = jnp.sum(vector * vector)
  small = squared < 1e-6
  angle = jnp.sqrt(jnp.where(small, 1.0, squared))
  first = jnp.where(small, 1 - squared / 6, jnp.sin(angle) / angle)
  second = jnp.where(small, 0.5 - squared / 24, (1 - jnp.cos(angle)) / angle**2)
  cross = jnp.cross(vector[None], jnp.eye(3)).T
  twice = jnp.matmul(cross, cross, precision=_HIGHEST)
  return jnp.eye(3) + first * cross + second * twice


def fit_camera(
  points: Float[Array, '468 3'],
  height: int,
  width: int,
  *,
  shape: Float[Array, '468 3'] | None = None,
  weights: Float[Array, '468'] | None = None,
  fovy: float = 35.0,
  spread: float | Float[Array, ''] = 0.5,
  steps: int = 40,
) -> HeadPose:
  """Find pose and angle of view from 2D points.

  Perspective is weak in a face: its depth is a fifth of a usual distance. So
  the focal length is held to a likely one unless the points say otherwise,
  and a `shape` that is not the person's own biases it.

  Args:
    points: of `landmarks.Landmarks`; depths are used for the first guess only.
    height: height of the photo, pixels.
    width: width of the photo, pixels.
    shape: the head's 468 points in its own frame, cm; None takes the
      canonical face.
    weights: how much each point counts; None counts all alike.
    fovy: the likely angle of view, degrees.
    spread: standard deviation of the logarithm of the focal length around
      it, where the points are off by 0.2 % of the image's height.
    steps: Levenberg-Marquardt steps.

  Returns:
    The pose; its points are the shape.
  """
  if shape is None:
    shape = jnp.asarray(canonical.load().vertices)
  if weights is None:
    weights = jnp.ones(len(shape))
  weights = weights / jnp.sum(weights)
  start = head_pose(points, height, width, fovy=fovy)
  likely = start.camera.intrinsics
  world2cam = camera_lib.invert_pose(start.camera.cam2world)

  def unpack(
    x: Float[Array, '7'],
  ) -> tuple[Float[Array, '3 3'], Float[Array, '3'], Float[Array, '3 3']]:
    """Turn 3 + 3 + 1 numbers into rotation, translation, intrinsics."""
    turn, shift, zoom = rotation_matrix(x[:3]), x[3:6], jnp.exp(x[6])
    rotation = jnp.matmul(turn, world2cam[:3, :3], precision=_HIGHEST)
    # With the distance the face keeps its size: a step in zoom alone is along
    # the valley in which the two trade off.
    translation = world2cam[:3, 3] * zoom + shift
    focal = likely.at[0, 0].multiply(zoom).at[1, 1].multiply(zoom)
    return rotation, translation, focal

  def residuals(x: Float[Array, '7']) -> Float[Array, 'm']:
    rotation, translation, focal = unpack(x)
    seen = jnp.matmul(shape, rotation.T, precision=_HIGHEST)
    image, _ = camera_lib.project_camera_points(focal, seen + translation[None])
    off = (image - points[:, :2]) * jnp.array([[width / height, 1.0]])
    off = off * jnp.sqrt(weights)[:, None] / _REPROJECTION
    return jnp.concatenate([off.ravel(), x[6:] / spread])

  State = tuple[Float[Array, '7'], Float[Array, ''], Float[Array, '']]

  def step(state: State, _: None) -> tuple[State, None]:
    x, damping, value = state
    jacobian = jax.jacfwd(residuals)(x)
    normal = jnp.matmul(jacobian.T, jacobian, precision=_HIGHEST)
    slope = jnp.matmul(jacobian.T, residuals(x), precision=_HIGHEST)
    damped = normal + damping * jnp.diag(jnp.diag(normal)) + 1e-9 * jnp.eye(7)
    moved = x - jnp.linalg.solve(damped, slope)
    new = jnp.sum(residuals(moved) ** 2)
    better = new < value
    damping = jnp.clip(jnp.where(better, damping / 4, damping * 8), 1e-7, 1e4)
    return (
      jnp.where(better, moved, x),
      damping,
      jnp.where(better, new, value),
    ), None

  x = jnp.zeros(7)
  state = (x, jnp.float32(1e-3), jnp.sum(residuals(x) ** 2))
  (x, _, _), _ = lax.scan(step, state, None, length=steps)
  off = residuals(x)[:-1] * _REPROJECTION
  return HeadPose(
    camera=_camera(*unpack(x)),
    points=shape,
    error=safe.safe_sqrt(jnp.sum(off**2)),
  )


def angles(camera: camera_lib.Camera) -> Float[Array, '3']:
  """Return yaw, pitch and roll of the head, degrees.

  Args:
    camera: of a `HeadPose`.

  Returns:
    yaw: positive where the face turns to the viewer's right; pitch: positive
    where it looks up; roll: positive where it tilts clockwise, as the viewer
    sees it. Turned in this order about the head's own axes: yaw first.
  """
  viewer = jnp.array([[1.0], [-1.0], [-1.0]])  # x right, y up, z to the viewer
  axes = viewer * camera.cam2world[:3, :3].T
  yaw = jnp.arctan2(axes[0, 2], axes[2, 2])
  pitch = jnp.arcsin(jnp.clip(axes[1, 2], -1.0, 1.0))
  roll = jnp.arctan2(-axes[1, 0], axes[1, 1])
  return jnp.rad2deg(jnp.stack([yaw, pitch, roll]))
