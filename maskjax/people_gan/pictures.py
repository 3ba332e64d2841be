"""Pictures of a source domain in training: people, depth maps, turned heads.

Shapes: H side of the final image, S of the rendering, K columns.
"""

from collections.abc import Sequence
import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8
import numpy as np

from maskjax.avatar import render as avatar_render
from maskjax.data.people import face_images
from maskjax.gan import (
  autodecoder,
  eg3d,
  model as model_lib,
  student,
  stylegan2,
)
from maskjax.geometry import camera as camera_lib, color
from maskjax.people_gan import batches as people_batches
from maskjax.studio import sheets
from maskjax.training import media

# Cameras of a row of samples, degrees; negative ones stand at the viewer's
# left.
YAWS = (-40.0, -20.0, 0.0, 20.0, 40.0)
PSI = 0.8
_GAP = 4  # pixels between two blocks of a sheet


def turned(yaws: Sequence[float] = YAWS, pitch: float = 0.0) -> Array:
  """Return cameras at angles (degrees) as 25-vectors, f32[k, 25]."""
  own = face_images.orbit(np.asarray(yaws), np.full(len(yaws), pitch))
  return camera_lib.to_vector25(face_images.to_units(own))


def seed_latents(seeds: Sequence[int], size: int) -> Float[Array, 'n z']:
  """Return z of seeds, the same as `avatar.render` has."""
  z = [np.random.RandomState(seed).standard_normal(size) for seed in seeds]
  return jnp.asarray(np.stack(z), jnp.float32)


def depth_bytes(
  depth: Float[Any, '... s s'],
  alpha: Float[Any, '... s s'],
  limits: tuple[float, float],
  side: int,
) -> UInt8[np.ndarray, '... h h 3']:
  """Show depth, near is bright, nothing is black; enlarged to a side.

  Args:
    depth: of pixels.
    alpha: coverage.
    limits: depths of white and of black.
    side: of the pictures, a multiple of S.
  """
  near, far = limits
  part = (far - np.asarray(depth)) / (far - near)
  grey = np.clip(part, 0, 1) * np.clip(np.asarray(alpha), 0, 1) * 255
  times = side // grey.shape[-1]
  grey = np.repeat(np.repeat(grey, times, -1), times, -2)
  return np.repeat(grey[..., None], 3, -1).astype(np.uint8)


@functools.partial(jax.jit, static_argnums=(0, 4))
def show(generator, variables, z, camera, psi=None):
  """Make views of scenes without chance.

  Args:
    generator: EG3D.
    variables: its weights and buffers.
    z: latents, f32[b, z].
    camera: of each, f32[b, v, 25].
    psi: truncation; None for none.

  Returns:
    Images [b v, h, h, 3], depths along rays and coverage [b v, s, s].
  """
  front = jnp.broadcast_to(turned((0.0,)), (z.shape[0], 25))
  ws = autodecoder.latents(generator, variables, z, front, truncation_psi=psi)
  shown = autodecoder.show(generator, variables, ws, camera)
  return shown.image, shown.depth, shown.alpha


def _limits(generator: eg3d.EG3D) -> tuple[float, float]:
  """Return the depths that pictures show as white and black."""
  volume = generator.config.volume
  start, end = volume.start or 2.25, volume.end or 3.3
  return start + 0.1 * (end - start), end


def samples(
  generator: eg3d.EG3D,
  variables: Any,
  seeds: Sequence[int],
  yaws: Sequence[float] = YAWS,
  psi: float = PSI,
) -> UInt8[np.ndarray, 'y x 3']:
  """Draw scenes that nobody has seen: a row each, turned, and depth beside.

  Args:
    generator: EG3D.
    variables: its weights and buffers.
    seeds: of the latents.
    yaws: of the cameras, degrees.
    psi: truncation; 1 for none.
  """
  z = seed_latents(seeds, generator.config.backbone.z_dim)
  camera = jnp.broadcast_to(turned(yaws)[None], (len(seeds), len(yaws), 25))
  image, depth, alpha = show(generator, variables, z, camera, psi)
  side = image.shape[1]
  shades = depth_bytes(depth, alpha, _limits(generator), side)
  split = lambda x: x.reshape(len(seeds), len(yaws), *x.shape[1:])
  return sheets.grid(
    [
      [
        sheets.grid(split(color.signed_to_bytes(image))),
        sheets.grid(split(shades)),
      ]
    ],
    gap=_GAP,
  )


def known(
  generator: eg3d.EG3D,
  variables: Any,
  codes: autodecoder.Codes,
  data: people_batches.SourceData,
  scenes: Int[np.ndarray, 'k'],
  view: int = 0,
) -> UInt8[np.ndarray, 'y x 3']:
  """Show known scenes: a row each of truth, what is made, and both depths.

  Args:
    generator: EG3D.
    variables: its weights and buffers.
    codes: of all scenes.
    data: their pictures.
    scenes: their numbers.
    view: which picture of each.
  """
  views = people_batches.views_of(data, scenes, np.full((len(scenes), 1), view))
  camera = jnp.asarray(views.camera)
  image, depth, alpha = show(generator, variables, codes.mean[scenes], camera)
  side, limits = image.shape[1], _limits(generator)
  truth = depth_bytes(views.depth[:, 0], views.alpha[:, 0], limits, side)
  made = depth_bytes(depth, alpha, limits, side)
  columns = [
    color.signed_to_bytes(views.image[:, 0]),
    color.signed_to_bytes(image),
    truth,
    made,
  ]
  return sheets.grid(list(np.stack(columns, 1)))


def save_sheet(
  path: pathlib.Path, blocks: Sequence[UInt8[np.ndarray, 'y x 3']], times: int
) -> None:
  """Write blocks side by side, enlarged `times` times."""
  sheet = sheets.grid([blocks], gap=_GAP)
  sheet = np.repeat(np.repeat(sheet, times, 0), times, 1)
  media.save_png(path, sheet)


@functools.partial(jax.jit, static_argnums=(0, 3))
def flat_images(generator, variables, z, psi=None):
  """Make images of a two-dimensional generator without chance.

  Args:
    generator: StyleGAN2.
    variables: its weights and buffers.
    z: latents, f32[n, z].
    psi: truncation; None for none.

  Returns:
    f32[n, h, h, 3] in about [-1, 1].
  """
  ws = model_lib.run(variables, generator.map, z, truncation_psi=psi)
  return model_lib.run(variables, generator.synthesize, ws).image


def flat_samples(
  generator: stylegan2.Generator,
  variables: Any,
  seeds: Sequence[int],
  columns: int = 8,
  psi: float = PSI,
) -> UInt8[np.ndarray, 'y x 3']:
  """Draw images of a two-dimensional generator."""
  z = seed_latents(seeds, generator.config.z_dim)
  images = color.signed_to_bytes(flat_images(generator, variables, z, psi))
  return sheets.grid(list(images.reshape(-1, columns, *images.shape[1:])))


def pairs(
  flat: model_lib.Model,
  solid: model_lib.Model,
  seeds: Sequence[int],
  camera: Float[Array, 'v 25'],
  angles: Float[Array, 'v 2'],
) -> tuple[Float[np.ndarray, 'n v h h 3'], Float[np.ndarray, 'n v h h 3']]:
  """Show the same latents in two dimensions and in three.

  Args:
    flat: StyleGAN2 that has been a student.
    solid: EG3D.
    seeds: of the latents.
    camera: of each column.
    angles: of these cameras, see `student.standard_angles`.

  Returns:
    What the one draws and what the other renders, in about [-1, 1].

  Raises:
    ValueError: these are not a StyleGAN2 and the EG3D whose student it was.
  """
  generator: Any = solid.module
  if not isinstance(generator, eg3d.EG3D) or (
    getattr(flat.module.config, 'z_dim', None)
    != generator.config.backbone.z_dim + student.ANGLES
  ):
    raise ValueError(
      'no student and its EG3D: the latent of a StyleGAN2 should be that of '
      f'the EG3D and {student.ANGLES} angles'
    )
  z = seed_latents(seeds, generator.config.backbone.z_dim)
  shape = (len(seeds), len(camera))
  own = student.latents(z, jnp.broadcast_to(angles, (*shape, student.ANGLES)))
  drawn = flat_images(flat.module, flat.variables, own)
  cameras = jnp.broadcast_to(camera, (*shape, 25))
  rendered, _, _ = show(generator, solid.variables, z, cameras)
  split = lambda x: np.asarray(x).reshape(*shape, *x.shape[1:])
  return split(drawn), split(rendered)


@functools.partial(jax.jit, static_argnums=0)
def _from_latents(generator, variables, ws):
  """Make images of w in two dimensions."""
  return model_lib.run(variables, generator.synthesize, ws).image


def flat_walk(
  generator: stylegan2.Generator,
  variables: Any,
  seeds: Sequence[int],
  frames: int,
  psi: float = PSI,
) -> UInt8[np.ndarray, 'n h h 3']:
  """Draw images on the way from seed to seed and back.

  Args:
    generator: StyleGAN2.
    variables: its weights and buffers.
    seeds: of the latents.
    frames: between two seeds.
    psi: truncation; 1 for none.
  """
  z = seed_latents(seeds, generator.config.z_dim)
  ws = model_lib.run(variables, generator.map, z, truncation_psi=psi)
  smooth = avatar_render.ease(jnp.arange(frames) / frames)
  videos = []
  for start, end in zip(ws, jnp.roll(ws, -1, 0)):
    between = start[None] + smooth[:, None, None] * (end - start)[None]
    videos.append(
      color.signed_to_bytes(_from_latents(generator, variables, between))
    )
  return np.concatenate(videos)


def crowd(
  model: model_lib.Model, seeds: Sequence[int], *, psi: float, rows: int = 8
) -> list[UInt8[np.ndarray, 'y x 3']]:
  """Draw many people from five sides, in blocks of some rows.

  Args:
    model: EG3D; a StyleGAN2 draws them once each, `rows` beside another.
    seeds: of the latents, a multiple of `rows`.
    psi: truncation; 1 for none.
    rows: of a block.
  """
  generator: Any = model.module
  if isinstance(generator, stylegan2.Generator):
    return [flat_samples(generator, model.variables, seeds, rows, psi)]
  parts = [seeds[i : i + rows] for i in range(0, len(seeds), rows)]
  width = generator.config.superresolution.output_side * len(YAWS)
  return [
    samples(generator, model.variables, part, psi=psi)[:, :width]
    for part in parts
  ]
