"""Scenes of a generator, looked at: compiled once, from any camera.

A `Studio` holds the compiled parts of a network that makes scenes; turntables
and walks are sequences of pictures that it takes.

Shapes: D size of w, N copies of it, H side of the final image. Cameras look at
a pivot from a sphere around the origin (`poses`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import math
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np

from maskjax.gan import (
  draws as draws_lib,
  eg3d,
  kinds,
  model as model_lib,
  poses,
  synthesis as synthesis_lib,
)
from maskjax.geometry import color, ffhq
from maskjax.training import media, progress

FPS = 24  # of videos
# Radians to the sides, and of the vertical angle up and down.
_SWING = (0.35, 0.25)
# Styles, and the planes that they make.
Scene = tuple[synthesis_lib.Styles, Float[Array, '1 3 r r c']]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Viewing:
  """How scenes are looked at.

  Attributes:
    psi: truncation, 1 for none.
    cutoff: copies of w that are truncated, None for all.
    radius: of the sphere that cameras stand on, units.
    pivot: point in the middle of the pictures, units.
    rendering: side of the rendering in pixels, None for the model's own.
  """

  psi: float = 0.7
  cutoff: int | None = 14
  radius: float = ffhq.RADIUS
  pivot: tuple[float, float, float] = ffhq.PIVOT
  rendering: int | None = None


def camera(
  horizontal: float = 0.0,
  vertical: float = 0.0,
  *,
  radius: float = ffhq.RADIUS,
  pivot: tuple[float, float, float] = ffhq.PIVOT,
) -> Float[Array, '1 25']:
  """Return a camera by its offset from the front.

  Args:
    horizontal: offset of EG3D's angle h (see `poses`), radians.
    vertical: offset of its angle v, radians.
    radius: of the sphere that the camera stands on, units.
    pivot: point in the middle of the picture, units.
  """
  pose = poses.look_at(
    jnp.array([math.pi / 2 + horizontal]),
    jnp.array([math.pi / 2 + vertical]),
    pivot=pivot,
    radius=radius,
  )
  return jnp.concatenate([pose.reshape(1, 16), ffhq.intrinsics()[None]], 1)


class Studio(NamedTuple):
  """The compiled parts of a generator of scenes.

  Attributes:
    model: generator of scenes.
    viewing: how its scenes are looked at.
    map: from z and a camera to w.
    scene: from w to a `Scene`.
    render: from planes, styles and a camera to a picture.
  """

  model: model_lib.Model
  viewing: Viewing
  map: Callable[..., Float[Array, '1 n d']]
  scene: Callable[[Float[Array, '1 n d']], Scene]
  render: Callable[..., eg3d.Picture]

  def camera(
    self, horizontal: float = 0.0, vertical: float = 0.0
  ) -> Float[Array, '1 25']:
    """Return a camera of this viewing, see `camera`."""
    own = self.viewing
    return camera(horizontal, vertical, radius=own.radius, pivot=own.pivot)

  def latents(self, seed: int) -> Float[Array, '1 n d']:
    """Return w of a seed, conditioned on the front camera."""
    size = self.model.module.config.backbone.z_dim
    return self.map(draws_lib.of_seeds([seed], size), self.camera())

  def picture(self, scene: Scene, c: Float[Array, '1 25']) -> eg3d.Picture:
    """Take a picture of a scene from a camera."""
    styles, planes = scene
    return self.render(planes, styles, c)


def open_studio(model: model_lib.Model, viewing: Viewing) -> Studio:
  """Compile the parts of a generator.

  Args:
    model: generator of scenes.
    viewing: how they are looked at.

  Raises:
    ValueError: a network without scenes, or cameras that are not finite.
  """
  kind = kinds.find(model.module)
  if kind is None or not kind.has_cameras:
    raise ValueError('the checkpoint is no EG3D generator: it has no scenes')
  generator, variables = model

  def latents(z, c):
    return model_lib.run(
      variables,
      generator.map,
      z,
      c,
      truncation_psi=viewing.psi,
      truncation_cutoff=viewing.cutoff,
    )

  def scene(ws):
    styles = model_lib.run(variables, generator.styles, ws)
    return styles, model_lib.run(variables, generator.planes, styles)

  def render(planes, styles, c):
    side = viewing.rendering
    return model_lib.run(
      variables, generator.render, planes, styles, c, resolution=side
    )

  studio = Studio(
    model=model,
    viewing=viewing,
    map=jax.jit(latents),
    scene=jax.jit(scene),
    render=jax.jit(render),
  )
  eg3d.check_cameras(studio.camera())
  return studio


def swing(phase: float) -> tuple[float, float]:
  """Return the camera's offset (radians of h, v) at a part of a round, 0..1."""
  angle = 2 * math.pi * phase
  return _SWING[0] * math.sin(angle), _SWING[1] * math.cos(angle)


def turntable(
  studio: Studio, scene: Scene, frames: int
) -> Iterator[UInt8[np.ndarray, 'h h 3']]:
  """Yield pictures of a scene from all around its front.

  Args:
    studio: compiled generator.
    scene: what is looked at.
    frames: pictures of a round.
  """
  for i in range(frames):
    c = studio.camera(*swing(i / frames))
    yield color.signed_to_bytes(studio.picture(scene, c).image[0])


def ease(part: Any) -> Any:
  """Return how far a walk is after a part of its time, slow at both ends."""
  return part * part * (3 - 2 * part)


def walk(
  studio: Studio, seeds: Sequence[int], frames: int
) -> Iterator[UInt8[np.ndarray, 'h h 3']]:
  """Yield pictures of latents on the way from seed to seed and back.

  Args:
    studio: compiled generator.
    seeds: of the latents.
    frames: pictures between two seeds.
  """
  ws = [studio.latents(seed) for seed in seeds]
  count = len(ws)
  for i in range(frames * count):
    k, part = i // frames, i % frames / frames
    between = ws[k] + ease(part) * (ws[(k + 1) % count] - ws[k])
    c = studio.camera(*swing(i / (frames * count)))
    scene = studio.scene(between)
    yield color.signed_to_bytes(studio.picture(scene, c).image[0])


def save_video(
  path: pathlib.Path,
  frames: Iterable[UInt8[np.ndarray, 'h h 3']],
  total: int,
  name: str,
) -> None:
  """Write a video while showing how far it is.

  Args:
    path: of the file, .mp4.
    frames: pictures, made one after another.
    total: how many they are.
    name: of the video, before the progress.
  """
  pictures = []
  with progress.bar(total, keys=(), name=name) as report:
    for frame in frames:
      pictures.append(frame)
      report(len(pictures), {})
  media.save_video(path, np.stack(pictures), frames_per_second=FPS)
