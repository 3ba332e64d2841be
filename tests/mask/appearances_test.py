"""The kinds of colours of a mask show the same start, and can be baked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import template as template_lib
from maskjax.mask import (
  appearances,
  color_field,
  surface as surface_lib,
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
    size=48,
    height_range=studio_views.HEIGHT_RANGE_CM,
    shading='vertex' if shape.texture is None else 'lambert',
    texture=shape.texture,
  ).rgb


@pytest.mark.parametrize('kind', ['uv', 'hashgrid'])
def test_all_kinds_show_the_painted_start(kind):
  plain, surface = _surface('vertex'), _surface(kind)
  colors = _painted(plain.template.mesh.vertices)
  pictures = []
  for each in (plain, surface):
    params = surface_lib.initial_params(each, colors)
    shape = surface_lib.shape(each, params, bound=_BOUND)
    pictures.append(jax.jit(lambda s=shape: _render(s))())
  assert float(jnp.mean(jnp.abs(pictures[0] - pictures[1]))) < 0.01
  mesh = surface_lib.assemble(surface, params, bound=_BOUND)
  np.testing.assert_allclose(mesh.colors, colors, atol=0.1)
  # What is baked is what was trained.
  baked = surface_lib.bake(surface, params, mesh, size=256)
  shown = textures.sample(baked.texture, baked.uvs)
  assert float(jnp.abs(shown - mesh.colors).mean()) < 0.01


@pytest.mark.parametrize('kind', list(appearances.APPEARANCES))
def test_gradients_reach_colours_and_places(kind):
  surface = _surface(kind)
  colors = _painted(surface.template.mesh.vertices)
  params = surface_lib.initial_params(surface, colors)

  @jax.jit
  def pull(params):
    def loss(params):
      shape = surface_lib.shape(surface, params, bound=_BOUND)
      return jnp.mean(_render(shape) ** 2)

    return jax.grad(loss)(params)

  gradient = pull(params)
  for leaf in jax.tree.leaves(gradient):
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
