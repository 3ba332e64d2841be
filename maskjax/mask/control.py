"""What the ControlNets are shown of a render (patent [0110]).

The bundled ControlNet takes five channels: mask, height and normals. Published
ones take a picture of three channels in [0, 1]: of normals, of height (depth,
near is bright) or of the mask. Which one is told apart by the channels, or
said by name (`settings.ControlNet.shows`).

Shapes: `b` views, `s` pixels a side, `k` channels of a condition.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.diffusion import model as model_lib
from maskjax.render import renderer
from maskjax.studio import condition as condition_lib

SHOWN = ('stack', 'normals', 'height', 'mask')


def shown(model: model_lib.DiffusionModel, names: str = '') -> tuple[str, ...]:
  """Return what each ControlNet of a model is shown, as names of `SHOWN`.

  Args:
    model: a diffusion model.
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
    wanted = {'stack': stacked, 'normals': 3}.get(kind, count)
    if count != wanted:
      raise ValueError(
        f'controlnet.shows: {kind!r} has {wanted} channels, the ControlNet '
        f'takes {count}'
      )
  return kinds


def normal_picture(
  normals: Float[Array, 'b s s 3'], alpha: Float[Array, 'b s s 1']
) -> Float[Array, 'b s s 3']:
  """Colour normals as published ControlNets know them.

  Red is left, green is up, blue is toward the viewer, as in ControlNet 1.1;
  the background faces the viewer.

  Args:
    normals: times alpha, x right, y up, z toward the viewer.
    alpha: coverage.
  """
  facing = jnp.array([0.0, 0.0, 1.0])[None, None, None]
  flipped = normals * jnp.array([-1.0, 1.0, 1.0])[None, None, None]
  return 0.5 + 0.5 * (flipped + (1.0 - alpha) * facing)


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
    model: the model.
    kinds: from `shown`.
    rendering: of the mask.
    mask: whether a stack shows its mask.
    height: whether a stack shows its height.
    normals: whether a stack shows its normals.
  """

  def keep(image, is_shown):
    return image if is_shown else jnp.zeros_like(image)

  def draw(kind, channels):
    if kind == 'stack':
      return condition_lib.condition_image(
        keep(rendering.alpha, mask),
        keep(rendering.height, height),
        keep(rendering.normals, normals),
      )
    if kind == 'normals':
      return normal_picture(rendering.normals, rendering.alpha)
    image = rendering.height if kind == 'height' else rendering.alpha
    return jnp.repeat(image, channels, axis=-1)

  configs = model_lib.controlnet_configs(model)
  return jax.lax.stop_gradient(
    tuple(
      draw(kind, config.conditioning_channels)
      for kind, config in zip(kinds, configs, strict=True)
    )
  )
