"""The kinds of colours of a mask show the same start, and can be baked."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial

from configs import mask as mask_config
from maskjax.geometry import (
  atlas,
  mesh as mesh_lib,
  mesh_io,
  template as template_lib,
)
from maskjax.mask import albedo, generate, surface as surface_lib, views
from maskjax.render import renderer, textures
from maskjax.studio import views as studio_views

_BOUND = 0.8


def _painted(vertices):
  waves = jnp.sin(vertices * jnp.array([[0.4, 0.3, 0.35]]))
  return 0.5 + 0.4 * waves


def _surface(kind):
  template = template_lib.mask_template('plain', edge_length=1.2)
  return surface_lib.create(
    template, smoothing=5.0, pin_rim=True, texture=kind, texture_size=128
  )


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


@pytest.mark.parametrize('kind', albedo.KINDS)
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


def _two_charts():
  """A cap of two charts that meet where x = 0; its uvs as a file has them."""
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
  config = mask_config.get_config('tiny')
  config.template, config.texture, config.texture_size = path, texture, 64
  template = generate.load_template(config)
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
    surface = surface_lib.create(
      template, smoothing=5.0, pin_rim=True, texture=kind, texture_size=64
    )
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
