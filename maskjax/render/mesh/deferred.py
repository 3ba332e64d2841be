"""Deferred shading: colours computed per pixel, from interpolated attributes.

What varies within a face (textures, highlights) is looked up after the
rasterizer has interpolated its coordinates. In the hard mode that comes
before silhouettes are blended, so that no lookup is made with coordinates
that two surfaces share.

Shapes: `B` views, `C` attributes, `K` colours, `H W` pixels, `P` = B * H * W.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from maskjax.render.mesh import windows


class Pixels(NamedTuple):
  """What a shader is given.

  Attributes:
    attributes: interpolated, perspective-correct; 0 where no face is.
    slopes: their change per pixel to the right and down, on the face seen at
      the pixel's centre; 0 where none is. Without gradients.
    covered: where there is something to shade.
  """

  attributes: Float[Array, 'b h w c']
  slopes: Float[Array, 'b h w c 2']
  covered: Bool[Array, 'b h w']


# Turns pixels into colours; the second argument is what the caller gave along
# for these views.
Shader = Callable[[Pixels, Any], Float[Array, 'b h w k']]


def shade(
  shader: Shader,
  view: Any,
  attributes: Float[Array, 'p c'],
  slopes: Float[Array, 'p c 2'],
  covered: Bool[Array, 'p'],
  grid: windows.Grid,
) -> Float[Array, 'p k']:
  """Call a shader.

  Args:
    shader: computes the colours, see `Shader`.
    view: what the shader is given along, arrays with the views in front.
    attributes: interpolated numbers of each pixel, 0 where no face is.
    slopes: their change per pixel to the right and down.
    covered: where there is something to shade.
    grid: sizes of images, windows and chunks (static).

  Returns:
    Colours, 0 where nothing is covered.
  """
  image = (grid.views, grid.size, grid.size)
  pixels = Pixels(
    attributes=attributes.reshape(*image, attributes.shape[1]),
    slopes=slopes.reshape(*image, *slopes.shape[1:]),
    covered=covered.reshape(image),
  )
  colors = shader(pixels, view).reshape(grid.pixels, -1)
  return jnp.where(covered[:, None], colors, 0.0)
