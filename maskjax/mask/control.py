"""What the ControlNets are shown of a render (patent [0110]).

The bundled ControlNet takes five channels: mask, height and normals. Published
ones take a picture of three channels in [0, 1]: of normals, of height (depth,
near is bright) or of the mask. Which one is told apart by the channels, or
said by name (`settings.ControlNet.shows`).

Shapes: `b` views, `s` pixels a side, `k` channels of a condition.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.diffusion import model as model_lib
from maskjax.render import renderer
from maskjax.studio import condition as condition_lib


def normal_picture(
  normals: Float[Array, 'b s s 3'], alpha: Float[Array, 'b s s 1']
) -> Float[Array, 'b s s 3']:
  """Colour normals as published ControlNets know them.

  Red is left, green is up, blue is toward the viewer, as in ControlNet 1.1;
  the background faces the viewer.

  Args:
    normals: times alpha, x right, y up, z toward the viewer.
    alpha: coverage of each pixel, in [0, 1].
  """
  facing = jnp.array([0.0, 0.0, 1.0])[None, None, None]
  flipped = normals * jnp.array([-1.0, 1.0, 1.0])[None, None, None]
  return 0.5 + 0.5 * (flipped + (1.0 - alpha) * facing)


class _Parts(NamedTuple):
  """Which parts of a stack are shown; the others are zero."""

  mask: bool
  height: bool
  normals: bool


def _stack(rendering, channels, parts):
  """Draw the condition of the bundled ControlNet."""
  del channels
  images = (rendering.alpha, rendering.height, rendering.normals)
  return condition_lib.condition_image(
    *(
      image if is_shown else jnp.zeros_like(image)
      for image, is_shown in zip(images, parts)
    )
  )


def _normals(rendering, channels, parts):
  del channels, parts
  return normal_picture(rendering.normals, rendering.alpha)


def _height(rendering, channels, parts):
  del parts
  return jnp.repeat(rendering.height, channels, axis=-1)


def _mask(rendering, channels, parts):
  del parts
  return jnp.repeat(rendering.alpha, channels, axis=-1)


# A further kind is one more function `(rendering, channels, parts) -> picture`,
# and a row here.
_KINDS = {
  'stack': _stack,
  'normals': _normals,
  'height': _height,
  'mask': _mask,
}
SHOWN = tuple(_KINDS)
# Kinds that have a number of channels of their own; others are repeated.
_CHANNELS = {'stack': condition_lib.CONDITION_CHANNELS, 'normals': 3}


def shown(model: model_lib.DiffusionModel, names: str = '') -> tuple[str, ...]:
  """Return what each ControlNet of a model is shown, as names of `SHOWN`.

  Args:
    model: a diffusion model, with or without ControlNets.
    names: separated by commas, one for each ControlNet; empty: 'stack' for
      those of five channels, 'normals' for the others.

  Raises:
    ValueError: an unknown name, or another number of them.
  """
  configs = model_lib.controlnet_configs(model)
  counts = [config.conditioning_channels for config in configs]
  stacked = condition_lib.CONDITION_CHANNELS
  kinds = tuple(name.strip() for name in names.split(',') if name.strip())
  if not kinds:
    kinds = tuple('stack' if n == stacked else 'normals' for n in counts)
  if len(kinds) != len(counts):
    raise ValueError(
      f'controlnet.shows has {len(kinds)} names for {len(counts)} ControlNets'
    )
  for kind, count in zip(kinds, counts):
    if kind not in SHOWN:
      raise ValueError(
        f'controlnet.shows: {kind!r} is not one of {", ".join(SHOWN)}'
      )
    wanted = _CHANNELS.get(kind, count)
    if count != wanted:
      raise ValueError(
        f'controlnet.shows: {kind!r} has {wanted} channels, the ControlNet '
        f'takes {count}'
      )
  return kinds


def of_rendering(
  model: model_lib.DiffusionModel,
  kinds: tuple[str, ...],
  rendering: renderer.Rendering,
  *,
  mask: bool = True,
  height: bool = True,
  normals: bool = True,
) -> tuple[Float[Array, 'b s s k'], ...]:
  """Return the condition of each ControlNet; no gradient flows through them.

  Args:
    model: the model with its ControlNets.
    kinds: what each is shown, from `shown`.
    rendering: renders of the mask.
    mask: whether a stack shows its mask.
    height: whether a stack shows its height.
    normals: whether a stack shows its normals.
  """

  parts = _Parts(mask, height, normals)
  configs = model_lib.controlnet_configs(model)
  return jax.lax.stop_gradient(
    tuple(
      _KINDS[kind](rendering, config.conditioning_channels, parts)
      for kind, config in zip(kinds, configs, strict=True)
    )
  )
