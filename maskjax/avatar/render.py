"""Avatars rendered to files: pictures, depth, meshes and videos of scenes.

Shapes: H W pixels of a picture, R side of a plane, C its features.
"""

from collections.abc import Callable
import dataclasses
import pathlib

from jaxtyping import Array, Float, UInt8
import numpy as np

from maskjax.gan import model as model_lib, scenes, shape
from maskjax.geometry import color, ffhq, mesh_io
from maskjax.training import files, media, parallel, progress, settings

_MOST_SEEDS = 100_000
WHAT = ('image', 'depth', 'mesh', 'turntable', 'walk')


def _unfit_seeds(seeds: tuple[int, ...]) -> str | None:
  """Say what seeds should be, where some are not that."""
  if not seeds or len(seeds) > _MOST_SEEDS:
    return f'give one seed or more, {_MOST_SEEDS} at most'
  if min(seeds) < 0 or max(seeds) > settings.LARGEST_SEED:
    return 'give seeds from 0 to 4,294,967,295'
  return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
  """What to make.

  Attributes:
    seeds: of the latents.
    what: of `WHAT`.
    psi: truncation, 1 for none.
    cutoff: copies of w that are truncated, None for all.
    radius: of the sphere that cameras stand on, units.
    pivot: point in the middle of the pictures, units.
    rendering: side of the rendering in pixels, None for the model's own.
    mesh_format: 'glb', 'obj' or 'ply'.
    mesh_resolution: points along an edge of the grid.
    level: of density at the surface; None to choose one for each scene, see
      `shape.choose_level`.
    frames: of the turntable, and between two seeds of the walk.
  """

  seeds: tuple[int, ...] = settings.checked(_unfit_seeds, default=(0,))
  what: tuple[str, ...] = settings.some_of(
    *WHAT, default=('image', 'depth', 'mesh')
  )
  psi: float = settings.number(-2, 2, default=0.7)
  cutoff: int | None = settings.number(0, 1000, default=14)
  radius: float = settings.number(0.01, 100, default=ffhq.RADIUS)
  pivot: tuple[float, float, float] = settings.number(
    -100, 100, default=ffhq.PIVOT
  )
  rendering: int | None = settings.number(1, 2048, default=None)
  mesh_format: str = settings.choice('glb', 'obj', 'ply', default='glb')
  mesh_resolution: int = settings.number(8, 1024, default=256)
  level: float | None = settings.number(default=None)
  frames: int = settings.number(2, 10_000, default=48)

  def __post_init__(self):
    settings.check_limits(self)

  @property
  def viewing(self) -> scenes.Viewing:
    """How scenes are looked at."""
    return scenes.Viewing(
      psi=self.psi,
      cutoff=self.cutoff,
      radius=self.radius,
      pivot=self.pivot,
      rendering=self.rendering,
    )


def depth_picture(
  depth: Float[np.ndarray, 'h w 1'],
) -> UInt8[np.ndarray, 'h w']:
  """Show depth, near is bright, over the range that occurs."""
  depth = np.asarray(depth)[..., 0]
  low, high = np.percentile(depth, (1, 99))
  part = (high - depth) / max(high - low, 1e-6)
  return np.asarray(np.clip(part * 255, 0, 255), np.uint8)


def _save_mesh(
  studio: scenes.Studio,
  request: Request,
  planes: Float[Array, '3 r r c'],
  path: pathlib.Path,
  name: str,
):
  """Extract a surface while showing progress, and write it."""
  with progress.bar(request.mesh_resolution, keys=(), name=name) as report:
    mesh, level = shape.extract(
      studio.model,
      planes,
      resolution=request.mesh_resolution,
      level=request.level,
      report=lambda done: report(done, {}),
    )
  mesh_io.save_mesh(path, mesh, extras={'level': level})


def _save_picture(
  studio: scenes.Studio,
  request: Request,
  scene: scenes.Scene,
  stem: pathlib.Path,
):
  """Write picture and depth of a scene; yields the files."""
  picture = studio.picture(scene, studio.camera())
  if 'image' in request.what:
    path = stem.with_suffix('.png')
    media.save_png(path, color.signed_to_bytes(picture.image[0]))
    yield path
  if 'depth' in request.what:
    depth = np.asarray(picture.depth[0])
    path = stem.with_name(f'{stem.name}_depth.npy')
    with files.replacing(path) as temporary, open(temporary, 'wb') as file:
      np.save(file, depth[..., 0])
    yield path
    media.save_png(path.with_suffix('.png'), depth_picture(depth))
    yield path.with_suffix('.png')


def _save_scene(
  studio: scenes.Studio, request: Request, seed: int, folder: pathlib.Path
):
  """Write what is asked for of a seed; yields the files.

  Raises:
    shape.NoSurfaceError: after everything else has been written.
  """
  stem = folder / f'seed{seed:04d}'
  scene = studio.scene(studio.latents(seed))
  if {'image', 'depth'} & set(request.what):
    yield from _save_picture(studio, request, scene, stem)
  if 'turntable' in request.what:
    path = stem.with_suffix('.mp4')
    frames = scenes.turntable(studio, scene, request.frames)
    scenes.save_video(path, frames, request.frames, f'turntable of seed {seed}')
    yield path
  if 'mesh' in request.what:
    path = stem.with_suffix(f'.{request.mesh_format}')
    _save_mesh(studio, request, scene[1][0], path, f'mesh of seed {seed}')
    yield path


@parallel.explain_memory('lower --rendering or --mesh_resolution')
def render(
  model: model_lib.Model,
  request: Request,
  folder: files.PathLike,
  *,
  say: Callable[[str], None] = print,
) -> list[pathlib.Path]:
  """Make what is asked for.

  Args:
    model: generator of scenes, EG3D.
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
  studio, folder = (
    scenes.open_studio(model, request.viewing),
    pathlib.Path(folder),
  )
  made: list[pathlib.Path] = []
  without: list[str] = []

  def done(path):
    made.append(path)
    say(str(path))

  for seed in request.seeds:
    try:
      for path in _save_scene(studio, request, seed, folder):
        done(path)
    except shape.NoSurfaceError as error:
      without.append(f'seed {seed} has {error}')
  if 'walk' in request.what:
    path = folder / 'walk.mp4'
    total = request.frames * len(request.seeds)
    frames = scenes.walk(studio, request.seeds, request.frames)
    scenes.save_video(path, frames, total, 'walk')
    done(path)
  if without:
    raise ValueError(f'{len(made)} files are made, but {"; ".join(without)}')
  return made
