"""Pictures, depth, meshes and videos of a generator's scenes, as files.

Shapes: H side of the final image, S of the rendering. Cameras look at a pivot
from a sphere around the origin (`gan.poses`).
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import math
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np

from maskjax.gan import eg3d, model as model_lib, poses, shape
from maskjax.geometry import color, mesh_io
from maskjax.training import files, media, progress

WHAT = ('image', 'depth', 'mesh', 'turntable', 'walk')
# Normalised focal length of FFHQ's cameras.
FOCAL = 4.2647
FPS = 24  # Of videos.
_SWING = (0.35, 0.25)  # Radians to the sides, and of v up and down.


@dataclasses.dataclass(frozen=True)
class Request:
  """What to make.

  Attributes:
    seeds: of the latents.
    what: of `WHAT`.
    psi: truncation, 1 for none.
    cutoff: copies of w that are truncated, None for all.
    radius: of the cameras' sphere.
    pivot: point in the middle of the pictures.
    rendering: side of the rendering, None for the model's own.
    mesh_format: 'glb', 'obj' or 'ply'.
    mesh_resolution: points along an edge of the grid.
    level: of density at the surface; None to choose one for each scene, see
      `shape.choose_level`.
    frames: of the turntable, and between two seeds of the walk.
  """

  seeds: tuple[int, ...] = (0,)
  what: tuple[str, ...] = ('image', 'depth', 'mesh')
  psi: float = 0.7
  cutoff: int | None = 14
  radius: float = 2.7
  pivot: tuple[float, float, float] = (0.0, 0.0, 0.2)
  rendering: int | None = None
  mesh_format: str = 'glb'
  mesh_resolution: int = 256
  level: float | None = None
  frames: int = 48

  def __post_init__(self):
    if unknown := [name for name in self.what if name not in WHAT]:
      raise ValueError(f'{unknown[0]!r} is not one of {", ".join(WHAT)}')
    if f'.{self.mesh_format}' not in mesh_io.WRITABLE:
      raise ValueError(
        f'mesh format {self.mesh_format!r} is not one of '
        f'{", ".join(mesh_io.WRITABLE)}'
      )
    for name, least in (('rendering', 1), ('cutoff', 0)):
      value = getattr(self, name)
      if value is not None and value < least:
        raise ValueError(f'{name}={value} is not at least {least}')
    if not self.seeds or self.frames < 2 or self.mesh_resolution < 8:
      raise ValueError('give seeds, 2 frames or more, a grid of 8 or more')


def camera(
  horizontal: float = 0.0,
  vertical: float = 0.0,
  *,
  radius: float,
  pivot: tuple[float, float, float],
) -> Float[Array, '1 25']:
  """Return a camera by its offset from the front, in radians of h and v."""
  pose = poses.look_at(
    jnp.array([math.pi / 2 + horizontal]),
    jnp.array([math.pi / 2 + vertical]),
    pivot=pivot,
    radius=radius,
  )
  intrinsics = jnp.array([FOCAL, 0, 0.5, 0, FOCAL, 0.5, 0, 0, 1])
  return jnp.concatenate([pose.reshape(1, 16), intrinsics[None]], 1)


def depth_picture(
  depth: Float[np.ndarray, 'h w 1'],
) -> UInt8[np.ndarray, 'h w']:
  """Show depth, near is bright, over the range that occurs."""
  depth = np.asarray(depth)[..., 0]
  low, high = np.percentile(depth, (1, 99))
  part = (high - depth) / max(high - low, 1e-6)
  return np.asarray(np.clip(part * 255, 0, 255), np.uint8)


class Studio(NamedTuple):
  """A generator's compiled parts, and the request.

  Attributes:
    model: EG3D.
    request: what to make.
    map: latents w of z.
    scene: styles and planes of w.
    render: a picture of planes and styles from a camera.
  """

  model: model_lib.Model
  request: Request
  map: Callable[..., Any]
  scene: Callable[..., Any]
  render: Callable[..., eg3d.Picture]

  def camera(self, horizontal: float = 0.0, vertical: float = 0.0) -> Array:
    """Return a camera of the request."""
    own = self.request
    return camera(horizontal, vertical, radius=own.radius, pivot=own.pivot)

  def latents(self, seed: int) -> Float[Array, '1 n w']:
    """Return w of a seed, conditioned on the front camera."""
    size = self.model.module.config.backbone.z_dim
    z = np.random.RandomState(seed).standard_normal((1, size))
    return self.map(jnp.asarray(z, jnp.float32), self.camera())

  def picture(self, scene: Any, c: Array) -> eg3d.Picture:
    """Render a scene once."""
    styles, planes = scene
    return self.render(planes, styles, c)


def open_studio(model: model_lib.Model, request: Request) -> Studio:
  """Compile the parts of a generator.

  Raises:
    ValueError: no EG3D generator, or cameras that are not finite.
  """
  if not isinstance(model.module, eg3d.EG3D):
    raise ValueError('the checkpoint is no EG3D generator: it has no scenes')
  generator, variables = model

  def latents(z, c):
    return model_lib.run(
      variables,
      generator.map,
      z,
      c,
      truncation_psi=request.psi,
      truncation_cutoff=request.cutoff,
    )

  def scene(ws):
    styles = model_lib.run(variables, generator.styles, ws)
    return styles, model_lib.run(variables, generator.planes, styles)

  def render(planes, styles, c):
    side = request.rendering
    return model_lib.run(
      variables, generator.render, planes, styles, c, resolution=side
    )

  studio = Studio(
    model,
    request,
    jax.jit(latents),
    jax.jit(scene),
    jax.jit(render),
  )
  eg3d.check_cameras(studio.camera())
  return studio


def swing(phase: float) -> tuple[float, float]:
  """Return the camera's offset at a part of a round, 0..1."""
  angle = 2 * math.pi * phase
  return _SWING[0] * math.sin(angle), _SWING[1] * math.cos(angle)


def _video(
  path: pathlib.Path, frames: Iterator[np.ndarray], total: int, name: str
) -> None:
  """Write a video while showing progress."""
  pictures = []
  with progress.bar(total, keys=(), name=name) as report:
    for frame in frames:
      pictures.append(frame)
      report(len(pictures), {})
  media.save_video(path, np.stack(pictures), frames_per_second=FPS)


def turntable(studio: Studio, scene: Any) -> Iterator[np.ndarray]:
  """Yield the pictures of a round."""
  for i in range(studio.request.frames):
    c = studio.camera(*swing(i / studio.request.frames))
    yield color.signed_to_bytes(studio.picture(scene, c).image[0])


def ease(part: Any) -> Any:
  """Return how far a walk is after a part of its time, slow at both ends."""
  return part * part * (3 - 2 * part)


def walk(studio: Studio, seeds: Sequence[int]) -> Iterator[np.ndarray]:
  """Yield pictures of latents on the way from seed to seed and back."""
  ws = [studio.latents(seed) for seed in seeds]
  frames, count = studio.request.frames, len(ws)
  for i in range(frames * count):
    k, part = i // frames, i % frames / frames
    between = ws[k] + ease(part) * (ws[(k + 1) % count] - ws[k])
    c = studio.camera(*swing(i / (frames * count)))
    yield color.signed_to_bytes(
      studio.picture(studio.scene(between), c).image[0]
    )


def _save_mesh(studio: Studio, planes: Array, path: pathlib.Path, name: str):
  """Extract a surface while showing progress, and write it."""
  own = studio.request
  with progress.bar(own.mesh_resolution, keys=(), name=name) as report:
    mesh, level = shape.extract(
      studio.model,
      planes,
      resolution=own.mesh_resolution,
      level=own.level,
      report=lambda done: report(done, {}),
    )
  mesh_io.save_mesh(path, mesh, extras={'level': level})


def _save_picture(studio: Studio, scene: Any, stem: pathlib.Path):
  """Write picture and depth of a scene; yields the files."""
  what = studio.request.what
  picture = studio.picture(scene, studio.camera())
  if 'image' in what:
    path = stem.with_suffix('.png')
    media.save_png(path, color.signed_to_bytes(picture.image[0]))
    yield path
  if 'depth' in what:
    depth = np.asarray(picture.depth[0])
    path = stem.with_name(f'{stem.name}_depth.npy')
    with files.replacing(path) as temporary, open(temporary, 'wb') as file:
      np.save(file, depth[..., 0])
    yield path
    media.save_png(path.with_suffix('.png'), depth_picture(depth))
    yield path.with_suffix('.png')


def _save_scene(studio: Studio, seed: int, folder: pathlib.Path):
  """Write what is asked for of a seed; yields the files.

  Raises:
    shape.NoSurfaceError: after everything else has been written.
  """
  own = studio.request
  stem = folder / f'seed{seed:04d}'
  scene = studio.scene(studio.latents(seed))
  if {'image', 'depth'} & set(own.what):
    yield from _save_picture(studio, scene, stem)
  if 'turntable' in own.what:
    path = stem.with_suffix('.mp4')
    frames = turntable(studio, scene)
    _video(path, frames, own.frames, f'turntable of seed {seed}')
    yield path
  if 'mesh' in own.what:
    path = stem.with_suffix(f'.{own.mesh_format}')
    _save_mesh(studio, scene[1][0], path, f'mesh of seed {seed}')
    yield path


def render(
  model: model_lib.Model,
  request: Request,
  folder: files.PathLike,
  *,
  say: Callable[[str], None] = print,
) -> list[pathlib.Path]:
  """Make what is asked for.

  Args:
    model: EG3D.
    request: what to make.
    folder: of the files: seed0000.png, seed0000_depth.png and .npy,
      seed0000.glb, seed0000.mp4 and walk.mp4.
    say: is told of each file.

  Returns:
    The files.

  Raises:
    ValueError: no EG3D generator; or scenes without a surface at the level,
      after everything else has been made.
  """
  studio, folder = open_studio(model, request), pathlib.Path(folder)
  made: list[pathlib.Path] = []
  flat: list[str] = []

  def done(path):
    made.append(path)
    say(str(path))

  for seed in request.seeds:
    try:
      for path in _save_scene(studio, seed, folder):
        done(path)
    except shape.NoSurfaceError as error:
      flat.append(f'seed {seed} has {error}')
  if 'walk' in request.what:
    path = folder / 'walk.mp4'
    total = request.frames * len(request.seeds)
    _video(path, walk(studio, request.seeds), total, 'walk')
    done(path)
  if flat:
    raise ValueError(f'{len(made)} files are made, but {"; ".join(flat)}')
  return made
