"""A StyleGAN2 that learns to draw what an EG3D renders.

Against a discriminator alone, a generator of images begins with noise. Here it
first learns from a teacher who can render any person from any side: its latent
is the teacher's, followed by the angles of the camera, and its picture shall
be the teacher's. So it begins an adversarial training with faces, and the same
numbers mean the same person in two dimensions and in three.

Shapes: B people, V views of each, H side of the image, Z size of the
teacher's latent, which is ANGLES smaller than the student's. Follows Hinton,
Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, with
pictures in place of class scores.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import optax

from maskjax.gan import autodecoder, eg3d, stylegan2
from maskjax.training import parallel, state as state_lib

# The horizontal and the vertical angle end the student's latent.
ANGLES = 2


class Cameras(NamedTuple):
  """Where people are seen from.

  Attributes:
    camera: EG3D's 25 numbers.
    angles: of the camera, in standard deviations from their mean.
  """

  camera: Float[Array, 'b v 25']
  angles: Float[Array, 'b v 2']


def angles(camera: Float[Array, '... 25']) -> Float[Array, '... 2']:
  """Return where cameras stand: angles to the right and up, radians.

  Args:
    camera: EG3D's 25 numbers, in the world's frame (+y up, +z in front).
  """
  place = camera[..., :16].reshape(*camera.shape[:-1], 4, 4)[..., :3, 3]
  x, y, z = place[..., 0], place[..., 1], place[..., 2]
  return jnp.stack([jnp.arctan2(x, z), jnp.arctan2(y, jnp.hypot(x, z))], -1)


def standard_angles(
  camera: Float[Array, '... 25'], among: Float[Array, 'n 25']
) -> Float[Array, '... 2']:
  """Return the angles of cameras in standard deviations of others'.

  Args:
    camera: EG3D's 25 numbers.
    among: all cameras of the data; where all are the same, angles are small.
  """
  own, others = angles(camera), angles(among)
  mean = jnp.broadcast_to(others.mean(0), own.shape)
  spread = jnp.broadcast_to(jnp.maximum(others.std(0), 1e-6), own.shape)
  return (own - mean) / spread


def latents(
  z: Float[Array, 'b z'], angles: Float[Array, 'b v 2']
) -> Float[Array, 'n y']:
  """Return the student's latents of people who are seen from several sides.

  Args:
    z: the teacher's.
    angles: see `standard_angles`.
  """
  repeated = jnp.repeat(z[:, None], angles.shape[1], 1)
  own = jnp.concatenate([repeated, angles], -1)
  return own.reshape(-1, own.shape[-1])


def make_step(
  teacher: eg3d.EG3D,
  student: stylegan2.Generator,
  tx: optax.GradientTransformation,
  *,
  levels: int,
  ema_decay: float,
):
  """Build `step(state, rng, cameras, frozen, axis_name=None)`.

  The state's params are the student's; `frozen` holds the variables of the
  'teacher', the 'buffers' of the student and the camera, [25], that the
  teacher's mapping is shown. It returns the new state and metrics.

  Args:
    teacher: network.
    student: network, with a latent larger than the teacher's by ANGLES.
    tx: optimiser.
    levels: of `autodecoder.pyramid_distance`.
    ema_decay: of the average that is kept for use.

  Raises:
    ValueError: networks that do not fit together.
  """
  size = teacher.config.backbone.z_dim
  if student.config.z_dim != size + ANGLES:
    raise ValueError(
      f'the student has a latent of {student.config.z_dim} numbers, expected '
      f'{size + ANGLES}: the {size} of its teacher and {ANGLES} angles'
    )
  sides = teacher.config.output_side, student.config.output_side
  if sides[0] != sides[1]:
    raise ValueError(
      f'the teacher makes pictures of {sides[0]} pixels, the student of '
      f'{sides[1]}'
    )

  def example(rng, cameras, frozen, axis_name):
    """Draw people; return the student's latents and the teacher's pictures."""
    people = cameras.camera.shape[0]
    keys = parallel.example_keys(rng, people, axis_name)
    z = jax.vmap(lambda key: jax.random.normal(key, (size,)))(keys)
    shown = jnp.broadcast_to(frozen['camera'][None], (people, 25))
    ws = autodecoder.latents(teacher, frozen['teacher'], z, shown)
    seen = autodecoder.show(teacher, frozen['teacher'], ws, cameras.camera)
    return latents(z, cameras.angles), seen.image

  def loss_fn(params, rng, cameras, frozen, axis_name):
    z, wanted = example(rng, cameras, frozen, axis_name)
    variables = {'params': params, 'buffers': frozen['buffers']}
    image = autodecoder.draw(student, variables, z)
    return autodecoder.pyramid_distance(image, wanted, levels), {}

  return state_lib.make_step(loss_fn, tx, ema_decay=ema_decay)
