"""An image over a uv map of several charts: kept, cut, and baked."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial

from maskjax.geometry import atlas, mesh as mesh_lib, mesh_io
from maskjax.mask import surface as surface_lib, views
from maskjax.render import renderer
from tests.mask import small

_BOUND = 0.8


def _painted(vertices):
  waves = jnp.sin(vertices * jnp.array([[0.4, 0.3, 0.35]]))
  return 0.5 + 0.4 * waves


def _two_charts():
  """Return a cap of two charts that meet at x = 0; its uvs as in a file."""
  line = np.linspace(-1.0, 1.0, 9)
  x, y = np.meshgrid(line, line)
  points = np.stack([8 * x, 9 * y, 6 - 4 * (x * x + y * y)], -1)
  index = np.arange(81).reshape(9, 9)
  vertices, faces, uvs, count = [], [], [], 0
  for side in (slice(0, 5), slice(4, 9)):
    part = index[:, side]
    number = count + np.arange(part.size).reshape(part.shape)
    a, b = number[:-1, :-1].ravel(), number[:-1, 1:].ravel()
    c, d = number[1:, 1:].ravel(), number[1:, :-1].ravel()
    faces += [np.stack([a, b, c], 1), np.stack([a, c, d], 1)]
    vertices.append(points[:, side].reshape(-1, 3))
    across, up = np.meshgrid(np.linspace(0, 0.45, 5), np.linspace(0, 0.9, 9))
    # The right half lies on the left of the image, and the other way round.
    shift = 0.52 if side.start == 0 else 0.02
    uvs.append(np.stack([across + shift, up + 0.05], -1).reshape(-1, 2))
    count += part.size
  return mesh_lib.Mesh(
    jnp.asarray(np.concatenate(vertices), jnp.float32),
    jnp.asarray(np.concatenate(faces), jnp.int32),
    uvs=jnp.asarray(np.concatenate(uvs), jnp.float32),
  )


def _load(path, texture, capsys):
  settings = small.settings(template=path, texture=texture, texture_size=64)
  template = surface_lib.load_template(settings)
  return template, capsys.readouterr().out


@pytest.mark.parametrize('suffix', ['glb', 'obj'])
def test_the_uv_map_of_a_file_is_kept(tmp_path, capsys, suffix):
  path = str(tmp_path / f'cap.{suffix}')
  mesh_io.save_mesh(path, _two_charts())
  template, said = _load(path, 'uv', capsys)
  assert 'over the uv map of' in said
  # What moves is connected, what is painted is cut.
  assert len(template.mesh.vertices) == 81
  assert len(template.atlas.mesh.vertices) == 90
  np.testing.assert_allclose(
    template.mesh.vertices[template.atlas.source],
    template.atlas.mesh.vertices,
    atol=1e-4,
  )
  np.testing.assert_array_equal(
    template.atlas.source[np.asarray(template.atlas.mesh.faces)],
    template.mesh.faces,
  )


def test_a_file_without_uvs_gets_new_ones(tmp_path, capsys):
  path = str(tmp_path / 'cap.ply')
  mesh_io.save_mesh(path, dataclasses.replace(_two_charts(), uvs=None))
  template, said = _load(path, 'uv', capsys)
  assert 'has no uvs, xatlas makes new ones' in said
  assert atlas.usable(template.atlas.mesh)
  assert len(template.mesh.vertices) == 81
  path = str(tmp_path / 'tiled.glb')
  tiled = _two_charts()
  mesh_io.save_mesh(path, dataclasses.replace(tiled, uvs=3 * tiled.uvs))
  template, said = _load(path, 'uv', capsys)
  assert 'repeat' in said and atlas.usable(template.atlas.mesh)


def test_charts_show_the_same_colours_as_vertices(tmp_path, capsys):
  path = str(tmp_path / 'cap.glb')
  mesh_io.save_mesh(path, _two_charts())
  template, _ = _load(path, 'uv', capsys)
  colors = _painted(template.mesh.vertices)
  images = []
  for kind in ('vertex', 'uv'):
    settings = small.settings(texture=kind, texture_size=64)
    surface = surface_lib.create(template, settings)
    params = surface_lib.initial_params(surface, colors)
    shape = surface_lib.shape(surface, params, bound=_BOUND)
    cameras, lights = views.fixed((20.0,))
    image = renderer.render(
      shape.vertices,
      shape.faces,
      jnp.zeros_like(shape.vertices) if kind == 'uv' else shape.colors,
      cameras,
      lights,
      size=64,
      mode='hard',
      shading='lambert',
      texture=shape.texture,
    )
    images.append(np.asarray(image.rgb[0]))
  # Normals too go on across the cut.
  error = np.abs(images[0] - images[1])
  assert error.max() < 0.08 and error.mean() < 0.004
  mesh = surface_lib.assemble(surface, params, bound=_BOUND)
  assert mesh.colors.shape == (81, 3)
  np.testing.assert_allclose(mesh.colors, colors, atol=0.05)
  baked = surface_lib.bake(surface, params, mesh, size=64)
  assert baked.texture.shape == (64, 64, 3) and len(baked.vertices) == 90
  # The left half of the cap is on the right of the image, and back in a file.
  mesh_io.save_mesh(tmp_path / 'painted.glb', baked)
  back = mesh_io.load_mesh(tmp_path / 'painted.glb')
  tree = scipy.spatial.cKDTree(np.asarray(template.mesh.vertices))
  _, near = tree.query(np.asarray(back.vertices))
  np.testing.assert_allclose(back.colors, colors[near], atol=0.06)
