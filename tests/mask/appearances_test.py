"""The kinds of colours of a mask show the same start, and can be baked."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array
import numpy as np
import pytest

from maskjax.geometry import template as template_lib
from maskjax.mask import (
  appearances,
  color_field,
  surface as surface_lib,
  trainable,
  views,
)
from maskjax.render import renderer, textures
from maskjax.studio import views as studio_views
from tests.mask import small

_BOUND = 0.8


def _painted(vertices):
  waves = jnp.sin(vertices * jnp.array([[0.4, 0.3, 0.35]]))
  return 0.5 + 0.4 * waves


def _surface(kind):
  template = template_lib.mask_template('plain', edge_length=1.2)
  settings = small.settings(texture=kind, texture_size=128)
  return surface_lib.create(template, settings)


def _render(shape):
  cameras, lights = views.fixed((20.0,))
  colors = shape.colors
  return renderer.render(
    shape.vertices,
    shape.faces,
    jnp.zeros_like(shape.vertices) if colors is None else colors,
    cameras,
    lights,
    size=32,
    height_range=studio_views.HEIGHT_RANGE_CM,
    shading='vertex' if shape.texture is None else 'lambert',
    texture=shape.texture,
  ).rgb


class _Seen(NamedTuple):
  """A kind of colours at its start, rendered."""

  surface: surface_lib.Surface
  params: trainable.MaskParams
  picture: Array
  gradient: trainable.MaskParams  # of the picture's brightness


@functools.cache
def _seen(kind):
  surface = _surface(kind)
  colors = _painted(surface.template.mesh.vertices)
  params = surface_lib.initial_params(surface, colors)

  @jax.jit
  def look(params):
    def loss(params):
      picture = _render(surface_lib.shape(surface, params, bound=_BOUND))
      return jnp.mean(picture**2), picture

    return jax.grad(loss, has_aux=True)(params)

  gradient, picture = look(params)
  return _Seen(surface, params, picture, gradient)


@pytest.mark.parametrize('kind', ['uv', 'hashgrid'])
def test_all_kinds_show_the_painted_start(kind):
  seen = _seen(kind)
  difference = jnp.abs(_seen('vertex').picture - seen.picture)
  assert float(jnp.mean(difference)) < 0.01
  mesh = surface_lib.assemble(seen.surface, seen.params, bound=_BOUND)
  colors = _painted(seen.surface.template.mesh.vertices)
  np.testing.assert_allclose(mesh.colors, colors, atol=0.1)
  # What is baked is what was trained.
  baked = surface_lib.bake(seen.surface, seen.params, mesh, size=256)
  shown = textures.sample(baked.texture, baked.uvs)
  assert float(jnp.abs(shown - mesh.colors).mean()) < 0.01


@pytest.mark.parametrize('kind', list(appearances.APPEARANCES))
def test_gradients_reach_colours_and_places(kind):
  for leaf in jax.tree.leaves(_seen(kind).gradient):
    assert np.isfinite(np.asarray(leaf)).all()
    assert np.abs(np.asarray(leaf)).max() > 0.0


def test_a_surface_that_changes_carries_no_image():
  with pytest.raises(ValueError, match='stays the same') as caught:
    surface_lib.variants(small.settings(geometry='sdf', texture='uv'))
  assert '\n' not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch):
  monkeypatch.setattr(color_field.importlib.util, 'find_spec', lambda _: None)
  settings = small.settings(geometry='sdf', texture='hashgrid')
  with pytest.raises(ValueError, match=r"pip install 'maskjax\[atlas\]'"):
    surface_lib.variants(settings)
