"""A surface: a start shape with the geometry and colours that are named."""

import dataclasses
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import mesh_io, template as template_lib
from maskjax.mask import (
  appearances,
  first_image,
  geometries,
  guide as guide_lib,
  projection,
  start as start_lib,
  surface as surface_lib,
)
from tests.mask import small


def test_every_row_of_the_tables_can_be_named():
  for geometry in geometries.GEOMETRIES:
    for texture in appearances.APPEARANCES:
      settings = small.settings(geometry=geometry, texture=texture)
      if (geometry, texture) == ('sdf', 'uv'):
        continue
      assert surface_lib.variants(settings) == (
        geometries.GEOMETRIES[geometry],
        appearances.APPEARANCES[texture],
      )


@pytest.mark.parametrize(
  'fields, words',
  [
    ({'geometry': 'voxels'}, "geometry is 'voxels'; not one of vertices, sdf"),
    ({'texture': 'paint'}, "texture is 'paint'; not one of vertex, uv, hash"),
  ],
)
def test_unknown_names_are_refused_in_one_line(fields, words):
  with pytest.raises(ValueError, match=words) as caught:
    surface_lib.variants(small.settings(**fields))
  assert '\n' not in str(caught.value)


def test_the_shape_is_rendered_as_it_is_assembled():
  settings = small.settings()
  template = surface_lib.load_template(settings)
  surface = surface_lib.create(template, settings)
  assert surface.template is template
  colors = jax.random.uniform(
    jax.random.key(0), template.mesh.vertices.shape, minval=0.1, maxval=0.9
  )
  params = surface_lib.initial_params(surface, colors)
  offsets = 0.05 * jax.random.normal(jax.random.key(1), params.offsets.shape)
  params = params._replace(offsets=offsets)
  shape = surface_lib.shape(surface, params, bound=0.8)
  mesh = surface_lib.assemble(surface, params, bound=0.8)
  np.testing.assert_array_equal(mesh.vertices, shape.vertices)
  np.testing.assert_array_equal(mesh.colors, shape.colors)
  np.testing.assert_allclose(mesh.colors, colors, atol=1e-5)
  # A finished mask of vertex colours is that mesh, mended where it was folded.
  finished, sound = surface_lib.finish(surface, params, settings)
  assert sound.flipped == 0 and finished.texture is None
  np.testing.assert_array_equal(finished.colors, shape.colors)


def _colored_file(tmp_path):
  sheet = template_lib.mask_template('plain', edge_length=1.2).mesh
  colors = jnp.clip(jnp.abs(sheet.vertices) / 12.0, 0.0, 1.0)
  path = tmp_path / 'head.glb'
  mesh_io.save_mesh(path, dataclasses.replace(sheet, colors=colors))
  return path, colors


@pytest.mark.parametrize('geometry', ['vertices', 'sdf'])
def test_a_template_begins_with_its_colours_unless_they_are_ignored(
  tmp_path, geometry, monkeypatch
):
  path, colors = _colored_file(tmp_path)
  fields = {'template': str(path), 'geometry': geometry, 'sdf.cell': 2.0}
  # Nothing is sampled here, nor is it laid over the shape.
  first = first_image.FirstImage(jnp.ones((4, 4, 3)), jnp.ones((4, 4, 1)))
  monkeypatch.setattr(first_image, 'generate', lambda *_, **__: first)
  grey = jnp.full((1, 3), 0.5)
  monkeypatch.setattr(
    projection,
    'project',
    lambda template, _: (grey + 0 * template.mesh.vertices, None),
  )
  guide = mock.MagicMock(spec=guide_lib.Guide)
  for own in (True, False):
    settings = small.settings(**fields, template_colors=own)
    template = surface_lib.load_template(settings)
    surface = surface_lib.create(template, settings)
    start = start_lib.paint(surface, guide, settings)
    mesh = surface_lib.assemble(surface, start.params, bound=0.8)
    if not own:
      np.testing.assert_allclose(mesh.colors, 0.5, atol=0.01)
    elif geometry == 'vertices':
      np.testing.assert_allclose(mesh.colors, colors, atol=0.02)
    else:  # of the nearest vertex, between grid points
      expected = np.clip(np.abs(np.asarray(mesh.vertices)) / 12.0, 0.0, 1.0)
      assert np.abs(np.asarray(mesh.colors) - expected).mean() < 0.1


def test_a_mask_that_has_collapsed_is_an_error_and_no_picture():
  settings = small.settings()
  template = surface_lib.load_template(settings)
  surface = surface_lib.create(template, settings)
  params = surface_lib.initial_params(
    surface, jnp.full(template.mesh.vertices.shape, 0.5)
  )
  whole, _ = surface_lib.finish(surface, params, settings)
  for scale in (0.3, np.nan):
    small_mesh = dataclasses.replace(whole, vertices=scale * whole.vertices)
    with pytest.raises(ValueError, match=r'has shrunk to .* cm2; go back'):
      surface_lib._check_size(small_mesh, template.mesh)
