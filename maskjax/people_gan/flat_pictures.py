"""Pictures in two dimensions: people, walks, and pairs with a rendering.

Shapes: N latents of size Z, V views of each, H side of the image, Y X pixels
of a sheet.
"""

from collections.abc import Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np

from maskjax.gan import (
  draws as draws_lib,
  kinds,
  model as model_lib,
  scenes,
  student,
  stylegan2,
)
from maskjax.geometry import color
from maskjax.people_gan import pictures as people_pictures
from maskjax.studio import sheets


@functools.partial(jax.jit, static_argnums=(0, 3))
def images(generator, variables, z, psi=None):
  """Make images of a two-dimensional generator without chance.

  Args:
    generator: StyleGAN2.
    variables: its weights and buffers.
    z: latents, f32[n, z].
    psi: truncation toward the mean latent; None for none.

  Returns:
    f32[n, h, h, 3] in about [-1, 1].
  """
  ws = model_lib.run(variables, generator.map, z, truncation_psi=psi)
  return model_lib.run(variables, generator.synthesize, ws).image


def samples(
  generator: stylegan2.Generator,
  variables: Any,
  seeds: Sequence[int],
  columns: int = 8,
  psi: float = people_pictures.PSI,
) -> UInt8[np.ndarray, 'y x 3']:
  """Draw images of people that nobody has seen, in rows.

  Args:
    generator: StyleGAN2.
    variables: its weights and buffers.
    seeds: seeds of the latents, a multiple of `columns`.
    columns: pictures in a row.
    psi: truncation toward the mean latent; 1 for none.
  """
  z = draws_lib.of_seeds(seeds, generator.config.z_dim)
  made = color.signed_to_bytes(images(generator, variables, z, psi))
  return sheets.grid(list(made.reshape(-1, columns, *made.shape[1:])))


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
    seeds: seeds of the latents.
    camera: camera of each column.
    angles: angles of these cameras, see `student.standard_angles`.

  Returns:
    What the one draws and what the other renders, in about [-1, 1].

  Raises:
    ValueError: these are not a StyleGAN2 and the EG3D whose student it was.
  """
  generator: Any = solid.module
  kind = kinds.find(generator)
  if (
    kind is None
    or not kind.has_cameras
    or (
      getattr(flat.module.config, 'z_dim', None)
      != generator.config.backbone.z_dim + student.ANGLES
    )
  ):
    raise ValueError(
      'no student and its EG3D: the latent of a StyleGAN2 should be that of '
      f'the EG3D and {student.ANGLES} angles'
    )
  z = draws_lib.of_seeds(seeds, generator.config.backbone.z_dim)
  shape = (len(seeds), len(camera))
  turns = jnp.broadcast_to(angles, (*shape, student.ANGLES))
  drawn = images(flat.module, flat.variables, student.latents(z, turns))
  cameras = jnp.broadcast_to(camera, (*shape, 25))
  rendered, _, _ = people_pictures.show(generator, solid.variables, z, cameras)
  split = lambda x: np.asarray(x).reshape(*shape, *x.shape[1:])
  return split(drawn), split(rendered)


@functools.partial(jax.jit, static_argnums=0)
def _from_latents(generator, variables, ws):
  """Make images of w in two dimensions."""
  return model_lib.run(variables, generator.synthesize, ws).image


def walk(
  generator: stylegan2.Generator,
  variables: Any,
  seeds: Sequence[int],
  frames: int,
  psi: float = people_pictures.PSI,
) -> UInt8[np.ndarray, 'n h h 3']:
  """Draw images on the way from seed to seed and back.

  Args:
    generator: StyleGAN2.
    variables: its weights and buffers.
    seeds: seeds of the latents.
    frames: number of frames between two seeds.
    psi: truncation toward the mean latent; 1 for none.
  """
  z = draws_lib.of_seeds(seeds, generator.config.z_dim)
  ws = model_lib.run(variables, generator.map, z, truncation_psi=psi)
  smooth = scenes.ease(jnp.arange(frames) / frames)
  videos = []
  for start, end in zip(ws, jnp.roll(ws, -1, 0)):
    between = start[None] + smooth[:, None, None] * (end - start)[None]
    videos.append(
      color.signed_to_bytes(_from_latents(generator, variables, between))
    )
  return np.concatenate(videos)
