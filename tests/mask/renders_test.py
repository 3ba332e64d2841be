"""Renders of the loop: bare masks, and the likeness to the first image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.mask import first_image, renders, surface as surface_lib, views
from tests.mask import small

_SIZE = 24


@pytest.fixture(scope='module')
def mask():
  """Return a surface, random colours, and their settings."""
  settings = small.settings(**{'views.textureless': 0.5})
  template = surface_lib.load_template(settings)
  surface = surface_lib.create(template, settings)
  colors = jax.random.uniform(
    jax.random.key(0), template.mesh.vertices.shape, minval=0.1, maxval=0.9
  )
  return surface, surface_lib.initial_params(surface, colors), settings


def test_a_bare_mask_shows_its_material_whatever_its_colours(mask):
  surface, params, settings = mask
  keys = jax.random.split(jax.random.key(1), 2)
  drawn = jax.vmap(lambda key: views.draw(key, settings.views))(keys)
  drawn = drawn._replace(bare=jnp.array([True, False]))
  behind = jnp.full((2, _SIZE, _SIZE, 3), 0.5)
  dark = params._replace(colors=params.colors - 3.0)

  @jax.jit
  def take(params):
    return renders.render_views(surface, params, drawn, behind, settings)[0]

  first, second = take(params), take(dark)
  assert first.rgb.shape == (2, _SIZE, _SIZE, 3)
  np.testing.assert_allclose(first.rgb[0], second.rgb[0], atol=1e-6)
  assert float(jnp.abs(first.rgb[1] - second.rgb[1]).max()) > 0.05


def test_likeness_is_zero_where_nothing_differs_and_pulls_colours_only(mask):
  surface, params, settings = mask

  @jax.jit
  def likeness(params, image):
    cover = first_image.front_mask(surface.template, _SIZE)
    first = first_image.FirstImage(image, cover)
    shape = surface_lib.shape(surface, params, bound=0.8)
    return renders.likeness(first, shape, settings.render)

  cameras, lights = views.fixed((0.0,))

  @jax.jit
  def look(params):
    shape = surface_lib.shape(surface, params, bound=0.8)
    return renders.render(
      shape, cameras, lights, settings.render, size=_SIZE
    ).rgb[0]

  image = renders.color.linear_to_srgb(look(params))
  np.testing.assert_allclose(likeness(params, image), 0.0, atol=1e-9)
  darker = 0.5 * image
  value, gradient = jax.value_and_grad(likeness)(params, darker)
  assert value > 0.0
  np.testing.assert_array_equal(gradient.offsets, 0.0)
  # Brighter logits would be farther from it.
  assert float(gradient.colors.sum()) > 0.0
