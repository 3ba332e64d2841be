"""A surface: a start shape with the geometry and colours that are named."""

import jax
import numpy as np
import pytest

from maskjax.mask import appearances, geometries, surface as surface_lib
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
