"""Cameras: one convention inside, conversions at the border.

Inside, a camera is an OpenCV `cam2world` pose (+x right, +y down, +z forward,
columns are the camera's axes and position in the world) and normalised
intrinsics (focal lengths and principal point divided by the image's width and
height; an orthographic camera has image widths and heights per cm in place of
focal lengths). The world is right handed, +y up, in centimetres. Image
coordinates run from (0, 0) at the top left corner to (1, 1) at the bottom
right one; the centre of pixel (row i, column j) lies at ((j + 0.5) / W,
(i + 0.5) / H).

Shapes: `...` batch, `V` points. Functions take single cameras or batches
alike.
"""

import flax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.geometry import safe

# A number, or one that is traced.
_Scalar = float | Float[Array, '']
# Points nearer than this (cm), or behind the camera, have no projection.
_MIN_DEPTH = 1e-6


@flax.struct.dataclass
class Camera:
  """A camera, or a batch of them.

  Attributes:
    cam2world: camera to world pose, OpenCV axes, centimetres.
    intrinsics: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], fx and cx in image
      widths, fy and cy in image heights; fx and fy per cm if orthographic.
    projection: 'perspective' or 'orthographic' (static).
  """

  cam2world: Float[Array, '... 4 4']
  intrinsics: Float[Array, '... 3 3']
  projection: str = flax.struct.field(pytree_node=False, default='perspective')


def _centred(focal: Float[Array, '...']) -> Float[Array, '... 3 3']:
  """Build intrinsics whose principal point is the centre of the image."""
  zero, one = jnp.zeros_like(focal), jnp.ones_like(focal)
  half = one / 2
  rows = [[focal, zero, half], [zero, focal, half], [zero, zero, one]]
  return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def intrinsics_from_fov(
  fovy: float | Float[Array, '...'],
) -> Float[Array, '... 3 3']:
  """Build the intrinsics of a square image with centred principal point.

  Args:
    fovy: full vertical angle of view in degrees, in (0, 180).

  Returns:
    Normalised intrinsics.
  """
  return _centred(0.5 / jnp.tan(jnp.deg2rad(jnp.asarray(fovy, float)) / 2))


def orthographic_intrinsics(
  height: float | Float[Array, '...'],
) -> Float[Array, '... 3 3']:
  """Build the intrinsics of an orthographic camera with a square image.

  Use them with `Camera(..., projection='orthographic')`.

  Args:
    height: what the image spans from top to bottom, cm.

  Returns:
    Intrinsics per cm, principal point in the centre.
  """
  return _centred(1.0 / jnp.asarray(height, float))


def _pose(
  right: Float[Array, '... 3'],
  down: Float[Array, '... 3'],
  forward: Float[Array, '... 3'],
  eye: Float[Array, '... 3'],
) -> Float[Array, '... 4 4']:
  """Stack axes and position into cam2world."""
  columns = jnp.stack([right, down, forward, eye], -1)
  last = jnp.asarray([0.0, 0.0, 0.0, 1.0], columns.dtype)
  last = jnp.broadcast_to(last, (*columns.shape[:-2], 1, 4))
  return jnp.concatenate([columns, last], -2)


def look_at(
  eye: Float[Array, '... 3'],
  target: Float[Array, '... 3'],
  up: Float[Array, '... 3'] | tuple[_Scalar, _Scalar, _Scalar] = (
    0.0,
    1.0,
    0.0,
  ),
) -> Float[Array, '... 4 4']:
  """Place a camera at `eye` that looks at `target`.

  Args:
    eye: position of the camera, world, cm.
    target: the point in the middle of the image, world, cm.
    up: world direction that points up in the image. Where it is parallel to
      the viewing direction, the world's -z (then +x) takes its place.

  Returns:
    cam2world.
  """
  eye = jnp.asarray(eye, float)
  target = jnp.broadcast_to(jnp.asarray(target, float), eye.shape)
  up = jnp.broadcast_to(jnp.asarray(up, float), eye.shape)
  forward = safe.safe_normalize(target - eye)
  right = jnp.cross(forward, safe.safe_normalize(up))
  for spare in ([0.0, 0.0, -1.0], [1.0, 0.0, 0.0]):
    spare = jnp.broadcast_to(jnp.asarray(spare, eye.dtype), eye.shape)
    parallel = jnp.sum(right * right, -1, keepdims=True) < 1e-8
    right = jnp.where(parallel, jnp.cross(forward, spare), right)
  right = safe.safe_normalize(right)
  return _pose(right, jnp.cross(forward, right), forward, eye)


def orbit(
  azimuth: float | Float[Array, '...'],
  elevation: float | Float[Array, '...'],
  *,
  radius: float | Float[Array, '...'] = 63.5,
  fovy: float | Float[Array, '...'] = 30.0,
  target: Float[Array, '3'] | tuple[_Scalar, _Scalar, _Scalar] = (
    0.0,
    0.0,
    2.0,
  ),
) -> Camera:
  """Place a camera on a sphere around `target`, looking at it.

  Args:
    azimuth: degrees; 0 is in front of the face (+z), positive moves the
      camera toward +x, the viewer's right.
    elevation: degrees; positive is above, looking down. +-90 are allowed.
    radius: distance from the target in cm.
    fovy: full vertical angle of view in degrees.
    target: centre of the sphere, world, cm.

  Returns:
    Camera, batched like the broadcast of azimuth, elevation, radius, fovy.
  """
  azimuth, elevation, radius, fovy = jnp.broadcast_arrays(
    *(jnp.asarray(x, float) for x in (azimuth, elevation, radius, fovy))
  )
  azimuth, elevation = jnp.deg2rad(azimuth), jnp.deg2rad(elevation)
  cos_a, sin_a = jnp.cos(azimuth), jnp.sin(azimuth)
  cos_e, sin_e = jnp.cos(elevation), jnp.sin(elevation)
  # Written out rather than by look_at: no degenerate case at the poles.
  outward = jnp.stack([sin_a * cos_e, sin_e, cos_a * cos_e], -1)
  right = jnp.stack([cos_a, jnp.zeros_like(cos_a), -sin_a], -1)
  down = jnp.stack([sin_a * sin_e, -cos_e, cos_a * sin_e], -1)
  target = jnp.broadcast_to(jnp.asarray(target, outward.dtype), outward.shape)
  eye = target + radius[..., None] * outward
  return Camera(
    cam2world=_pose(right, down, -outward, eye),
    intrinsics=intrinsics_from_fov(fovy),
  )


def invert_pose(pose: Float[Array, '... 4 4']) -> Float[Array, '... 4 4']:
  """Invert a rigid transform.

  Args:
    pose: rotation and translation, for example cam2world.

  Returns:
    The inverse transform, for example world2cam.
  """
  rotation = jnp.swapaxes(pose[..., :3, :3], -1, -2)
  position = jnp.einsum(
    '...ij,...j->...i',
    rotation,
    pose[..., :3, 3],
    precision=lax.Precision.HIGHEST,
  )
  columns = jnp.concatenate([rotation, -position[..., None]], -1)
  return jnp.concatenate([columns, pose[..., 3:, :]], -2)


def world_to_camera(
  camera: Camera, points: Float[Array, '... v 3']
) -> Float[Array, '... v 3']:
  """Move points from the world into the camera's frame.

  Args:
    camera: camera(s) with batch shape `...`.
    points: world, cm; the batch shape of the camera, or none at all (the same
      points for all cameras).

  Returns:
    Points in the camera's frame: x right, y down, z forward, cm.
  """
  rotation = camera.cam2world[..., :3, :3]
  eye = camera.cam2world[..., :3, 3]
  batch = rotation.shape[:-2]
  points = jnp.broadcast_to(points, (*batch, *points.shape[-2:]))
  return jnp.einsum(
    '...ji,...vj->...vi',
    rotation,
    points - eye[..., None, :],
    precision=lax.Precision.HIGHEST,
  )


def directions_to_camera(
  camera: Camera, directions: Float[Array, '... v 3']
) -> Float[Array, '... v 3']:
  """Rotate directions (normals) from the world into the camera's frame.

  Args:
    camera: camera(s) with batch shape `...`.
    directions: world; the batch shape of the camera, or none at all.

  Returns:
    Directions in the camera's frame: x right, y down, z forward.
  """
  rotation = camera.cam2world[..., :3, :3]
  shape = (*rotation.shape[:-2], *directions.shape[-2:])
  return jnp.einsum(
    '...ji,...vj->...vi',
    rotation,
    jnp.broadcast_to(directions, shape),
    precision=lax.Precision.HIGHEST,
  )


def project_camera_points(
  intrinsics: Float[Array, '... 3 3'],
  points: Float[Array, '... v 3'],
  *,
  projection: str = 'perspective',
) -> tuple[Float[Array, '... v 2'], Float[Array, '... v']]:
  """Project points given in the camera's frame.

  Args:
    intrinsics: normalised intrinsics with batch shape `...`.
    points: camera's frame, cm.
    projection: 'perspective' or 'orthographic'.

  Returns:
    Image coordinates, in [0, 1] inside the image, x right and y down; and
    depths z in cm. Points at or behind the camera's plane get finite but
    meaningless coordinates: test the depth.
  """
  depth = points[..., 2]
  if projection == 'perspective':
    in_front = depth > _MIN_DEPTH
    inverse = 1.0 / jnp.where(in_front, depth, 1.0)
    rays = points[..., :2] * inverse[..., None]
  else:
    rays = points[..., :2]
  focal = jnp.stack([intrinsics[..., 0, 0], intrinsics[..., 1, 1]], -1)
  centre = intrinsics[..., :2, 2]
  skewed = rays[..., 1] * intrinsics[..., 0, 1][..., None]
  skew = jnp.stack([skewed, jnp.zeros_like(skewed)], -1)
  return rays * focal[..., None, :] + skew + centre[..., None, :], depth


def project(
  camera: Camera, points: Float[Array, '... v 3']
) -> tuple[Float[Array, '... v 2'], Float[Array, '... v']]:
  """Project world points into the image.

  Args:
    camera: camera(s) with batch shape `...`.
    points: world, cm; the batch shape of the camera, or none at all.

  Returns:
    Image coordinates and depths, as `project_camera_points`.
  """
  return project_camera_points(
    camera.intrinsics,
    world_to_camera(camera, points),
    projection=camera.projection,
  )


def to_opengl(cam2world: Float[Array, '... 4 4']) -> Float[Array, '... 4 4']:
  """Convert an OpenCV pose to OpenGL and glTF axes (y up, z backward).

  Args:
    cam2world: OpenCV pose.

  Returns:
    Pose of the same camera with OpenGL axes.
  """
  flip = jnp.asarray([1.0, -1.0, -1.0, 1.0], cam2world.dtype)
  return cam2world * jnp.broadcast_to(flip, cam2world.shape)


def from_opengl(cam2world: Float[Array, '... 4 4']) -> Float[Array, '... 4 4']:
  """Convert an OpenGL or glTF pose to OpenCV axes; see `to_opengl`.

  Args:
    cam2world: OpenGL pose.

  Returns:
    OpenCV pose.
  """
  return to_opengl(cam2world)


def to_vector25(camera: Camera) -> Float[Array, '... 25']:
  """Flatten a camera into EG3D's 25 numbers.

  Args:
    camera: camera(s) with batch shape `...`.

  Returns:
    cam2world (16 numbers, row by row), then the intrinsics (9 numbers).

  Raises:
    ValueError: for an orthographic camera, which EG3D does not know.
  """
  if camera.projection != 'perspective':
    raise ValueError(
      'Only perspective cameras have 25 numbers; this one is '
      f'{camera.projection}.'
    )
  batch = camera.cam2world.shape[:-2]
  return jnp.concatenate(
    [
      camera.cam2world.reshape(*batch, 16),
      camera.intrinsics.reshape(*batch, 9),
    ],
    -1,
  )


def from_vector25(vector: Float[Array, '... 25']) -> Camera:
  """Build cameras from EG3D's 25 numbers; see `to_vector25`.

  Args:
    vector: 25 numbers per camera.

  Returns:
    Camera(s).

  Raises:
    ValueError: if the last axis does not hold 25 numbers.
  """
  if vector.shape[-1] != 25:
    raise ValueError(
      'A camera vector has 25 numbers (16 of cam2world, 9 of intrinsics), '
      f'got an array of shape {vector.shape}.'
    )
  batch = vector.shape[:-1]
  return Camera(
    cam2world=vector[..., :16].reshape(*batch, 4, 4),
    intrinsics=vector[..., 16:].reshape(*batch, 3, 3),
  )
