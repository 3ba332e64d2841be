"""Pictures of scenes in training: people, depth maps, turned heads.

Shapes: B scenes, V views of each, H side of the final image, S of the
rendering, K columns, Y X pixels of a sheet.
"""

from collections.abc import Sequence
import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8
import numpy as np

from maskjax.gan import (
  autodecoder,
  draws as draws_lib,
  eg3d,
  kinds,
  scene_codes,
)
from maskjax.geometry import (
  color,
  ffhq,
)
from maskjax.people_gan import batches as people_batches
from maskjax.studio import sheets
from maskjax.training import media

# Cameras of a row of samples, degrees; negative ones stand at the viewer's
# left.
YAWS = (-40.0, -20.0, 0.0, 20.0, 40.0)
PSI = 0.8
_GAP = 4  # pixels between two blocks of a sheet


def turned(
  yaws: Sequence[float] = YAWS, pitch: float = 0.0
) -> Float[Array, 'k 25']:
  """Return cameras around a head.

  Args:
    yaws: angles to the viewer's right, degrees.
    pitch: angle upward of all of them, degrees.

  Returns:
    EG3D's 25 numbers of each.
  """
  return ffhq.vectors(np.asarray(yaws), np.full(len(yaws), pitch))


def depth_bytes(
  depth: Float[Any, '... s s'],
  alpha: Float[Any, '... s s'],
  limits: tuple[float, float],
  side: int,
) -> UInt8[np.ndarray, '... h h 3']:
  """Show depth, near is bright, nothing is black; enlarged to a side.

  Args:
    depth: depth of pixels, units.
    alpha: coverage, [0, 1].
    limits: depths that are white and black.
    side: side of the pictures, a multiple of S.
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
    camera: cameras of each latent, f32[b, v, 25].
    psi: truncation toward the mean latent; None for none.

  Returns:
    Images [b v, h, h, 3], depths along rays and coverage [b v, s, s].
  """
  front = jnp.broadcast_to(turned((0.0,)), (z.shape[0], 25))
  ws = autodecoder.latents(generator, variables, z, front, truncation_psi=psi)
  look = kinds.of(generator).show
  if look is None:
    raise ValueError('a generator of images shows no views')
  shown = look(generator, variables, ws, camera)
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
    seeds: seeds of the latents, a row each.
    yaws: angles of the cameras, degrees, a column each.
    psi: truncation toward the mean latent; 1 for none.
  """
  z = draws_lib.of_seeds(seeds, generator.config.backbone.z_dim)
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
  codes: scene_codes.Codes,
  data: people_batches.SourceData,
  scenes: Int[np.ndarray, 'k'],
  view: int = 0,
) -> UInt8[np.ndarray, 'y x 3']:
  """Show known scenes: a row each of truth, what is made, and both depths.

  Args:
    generator: EG3D.
    variables: its weights and buffers.
    codes: latents of all scenes.
    data: pictures of all scenes.
    scenes: numbers of the scenes to show.
    view: number of the view of each that is shown.
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
  """Write blocks side by side, enlarged `times` times.

  Args:
    path: a PNG; missing parent folders are made.
    blocks: pictures of one height.
    times: factor by which each pixel is repeated.
  """
  sheet = sheets.grid([blocks], gap=_GAP)
  sheet = np.repeat(np.repeat(sheet, times, 0), times, 1)
  media.save_png(path, sheet)
