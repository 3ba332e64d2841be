"""Rendering: colours, normals, height and depth of known shapes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import camera
from maskjax.render import lights, renderer

_SIZE = 32


def _dome(count=24, radius=10.0):
  """Return an open half sphere around the origin that bulges toward +z."""
  x, y = np.meshgrid(*2 * [np.linspace(-1, 1, count)])
  # The square grid, pulled onto the disc.
  scale = np.maximum(np.abs(x), np.abs(y)) / np.maximum(np.hypot(x, y), 1e-9)
  x, y = x * scale, y * scale
  z = np.sqrt(np.maximum(1 - x * x - y * y, 0))
  vertices = radius * np.stack([x, y, z], -1).reshape(-1, 3)
  a = np.arange(count * count).reshape(count, count)
  a, b, c, d = a[:-1, :-1], a[:-1, 1:], a[1:, :-1], a[1:, 1:]
  faces = np.stack([a, b, d, a, d, c], -1).reshape(-1, 3)
  return jnp.asarray(vertices, jnp.float32), jnp.asarray(faces, jnp.int32)


@functools.partial(
  jax.jit, static_argnames=('sigma', 'samples', 'size', 'mode')
)
def _render(vertices, faces, colors, views, scene, background, **options):
  options = {'size': _SIZE, 'height_range': (0.0, 20.0)} | options
  return renderer.render(
    vertices, faces, colors, views, scene, background=background, **options
  )


def _front(*azimuths):
  return camera.orbit(jnp.asarray(azimuths or (0.0,)), 0.0, target=(0, 0, 0))


def _dome_images(views, scene=None, background=(0.0, 0.0, 1.0), **options):
  vertices, faces = _dome()
  colors = jnp.broadcast_to(jnp.asarray([1.0, 0.5, 0.25]), vertices.shape)
  return _render(
    vertices,
    faces,
    colors,
    views,
    scene or lights.uniform(),
    jnp.asarray(background),
    **options,
  )


def test_shapes_ranges_and_the_outside():
  images = _dome_images(_front(0.0, 40.0))
  for name, channels in (
    ('rgb', 3),
    ('alpha', 1),
    ('normals', 3),
    ('height', 1),
    ('depth', 1),
  ):
    assert getattr(images, name).shape == (2, _SIZE, _SIZE, channels)
  np.testing.assert_allclose(images.rgb[:, 0, 0], [[0, 0, 1]] * 2)
  for image in images[1:]:
    np.testing.assert_array_equal(image[:, 0, 0], 0)
  assert images.alpha.min() >= 0 and images.alpha.max() <= 1
  np.testing.assert_allclose(images.alpha[0, 12:20, 12:20], 1, atol=1e-5)


def test_uniform_light_shows_the_albedo():
  images = _dome_images(_front())
  inside = images.rgb[0, 12:20, 12:20].reshape(-1, 3)
  np.testing.assert_allclose(inside, [[1.0, 0.5, 0.25]] * 64, atol=1e-4)


def test_normals_height_and_depth_of_a_dome():
  images = _dome_images(_front(), sigma=1e-8)
  half = 63.5 * np.tan(np.deg2rad(15))
  centres = (2 * np.arange(_SIZE) + 1) / _SIZE - 1
  right, down = np.meshgrid(centres, centres)
  # Where the ray (right, -down, -1 / tan) through a pixel meets the sphere.
  ray = np.stack([right * half / 63.5, -down * half / 63.5, 0 * right - 1], -1)
  ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
  b = ray[..., 2] * 63.5
  root = b * b - (63.5**2 - 100)
  inside = root > 20
  hit = (-b - np.sqrt(np.maximum(root, 0)))[..., None] * ray + [0, 0, 63.5]
  # A 24 x 24 grid of facets lies up to 0.1 cm inside of the sphere.
  np.testing.assert_allclose(
    images.height[0, ..., 0][inside], hit[inside][:, 2] / 20, atol=0.02
  )
  np.testing.assert_allclose(
    images.depth[0, ..., 0][inside], 63.5 - hit[inside][:, 2], atol=0.3
  )
  np.testing.assert_allclose(
    images.normals[0][inside], hit[inside] / 10, atol=0.06
  )


def test_view_normals_turn_with_the_camera():
  front, side = _dome_images(_front(0.0, 45.0), sigma=1e-8).normals
  middle = _SIZE // 2
  np.testing.assert_allclose(front[middle, middle], [0, 0, 1], atol=0.06)
  # From the right at 45 degrees the pole of the dome points to the left; at
  # the image's centre the normal faces the viewer again.
  np.testing.assert_allclose(side[middle, middle], [0, 0, 1], atol=0.06)
  pole = camera.project(_front(45.0), jnp.asarray([[0.0, 0.0, 10.0]]))[0][0, 0]
  column, row = (np.asarray(pole) * _SIZE).astype(int)
  assert column < middle
  np.testing.assert_allclose(
    side[row, column], [-np.sqrt(0.5), 0, np.sqrt(0.5)], atol=0.08
  )


def test_light_from_the_left_brightens_the_left():
  scene = lights.directional((-1.0, 0.0, 1.0))
  rgb = _dome_images(_front(), scene).rgb[0, _SIZE // 2]
  assert rgb[11, 0] > rgb[20, 0] + 0.3


def test_lights_and_backgrounds_can_differ_per_view():
  scenes = [lights.uniform((1.0, 1.0, 1.0)), lights.uniform((0.5, 0.0, 0.0))]
  batch = jax.tree.map(lambda *x: jnp.stack(x), *scenes)
  background = jnp.stack([jnp.full((_SIZE, _SIZE, 3), c) for c in (0.2, 0.7)])
  both = _dome_images(_front(0.0, 20.0), batch, background)
  for view, azimuth in enumerate((0.0, 20.0)):
    single = _dome_images(_front(azimuth), scenes[view], background[view, 0, 0])
    for a, b in zip(both, single):
      np.testing.assert_allclose(a[view], b[0], atol=2e-5)


def test_samples_average_the_larger_image():
  fine = _dome_images(_front(), sigma=1e-8, size=2 * _SIZE)
  averaged = _dome_images(_front(), sigma=1e-8, samples=2)
  for name in ('rgb', 'alpha', 'normals', 'height'):
    image = np.asarray(getattr(fine, name))
    image = image.reshape(1, _SIZE, 2, _SIZE, 2, -1).mean((2, 4))
    np.testing.assert_allclose(getattr(averaged, name), image, atol=1e-5)
  edge = averaged.alpha[(averaged.alpha > 0.1) & (averaged.alpha < 0.9)]
  assert edge.size > 20
  depth = averaged.depth[averaged.alpha > 0.1]
  assert depth.min() > 53 and depth.max() < 64.5


def test_gradients_move_the_outline_and_the_colours():
  vertices, faces = _dome(12)
  views = _front(0.0, 30.0)
  scene = lights.directional((0.0, 1.0, 1.0), ambient=(0.2, 0.2, 0.2))

  def means(vertices, colors):
    images = _render(
      vertices, faces, colors, views, scene, jnp.zeros(3), sigma=1e-3
    )
    return jnp.mean(images.alpha), jnp.mean(images.rgb)

  colors = jnp.full(vertices.shape, 0.5)
  (area, light), pull = jax.vjp(jax.jit(means), vertices, colors)
  by_vertices, nothing = pull((jnp.ones(()), jnp.zeros(())))
  np.testing.assert_array_equal(nothing, 0)
  assert np.isfinite(by_vertices).all()
  _, by_colors = pull((jnp.zeros(()), jnp.ones(())))
  assert np.isfinite(by_colors).all() and by_colors.min() >= 0
  grown = vertices + 0.2 * by_vertices / jnp.abs(by_vertices).max()
  larger, brighter = means(grown, colors)[0], means(vertices, colors + 0.1)[1]
  assert larger > area
  # Brightness is linear in the colours.
  np.testing.assert_allclose(0.1 * by_colors.sum(), brighter - light, rtol=1e-3)


def test_hard_images_and_orthographic_cameras():
  front = _front(0.0, 30.0)
  flat = camera.Camera(
    cam2world=front.cam2world,
    intrinsics=jnp.stack([camera.orthographic_intrinsics(40.0)] * 2),
    projection='orthographic',
  )
  hard = _dome_images(flat, mode='hard')
  soft = _dome_images(flat, sigma=1e-8, samples=2)
  for a, b in zip(hard, soft):
    # Away from the outline, where samples and blending differ.
    assert np.quantile(np.abs(a - b), 0.85) < 0.02
  # From the front the dome is a disc of radius 10 in 40 cm.
  area = jnp.sum(hard.alpha[0]) / _SIZE**2
  np.testing.assert_allclose(area, np.pi * 100 / 1600, rtol=0.02)


def test_bad_arguments_are_refused():
  vertices, faces = _dome(4)
  arguments = {
    'vertices': vertices,
    'faces': faces,
    'colors': vertices,
    'camera': _front(0.0, 1.0),
    'lights': lights.uniform(),
    'size': 16,
  }
  three = jax.tree.map(lambda x: jnp.stack([x] * 3), lights.uniform())
  for change, message in (
    ({'camera': camera.orbit(0.0, 0.0)}, 'batch of cameras'),
    ({'lights': three}, 'one per view'),
    ({'height_range': (3.0, 3.0)}, 'height_range'),
    ({'samples': 0}, 'samples'),
  ):
    with pytest.raises(ValueError, match=message):
      renderer.render(**arguments | change)


@pytest.mark.parametrize('shading', ['vertex', 'lambert'])
def test_an_even_coat_covers_the_colours_of_its_view(shading):
  vertices, faces = _dome()
  views = _front(0.0, 0.0)
  plain = jnp.array([[0.2, 0.3, 0.4, 0.0], [0.2, 0.3, 0.4, 1.0]])
  render = jax.jit(
    functools.partial(
      renderer.render,
      vertices,
      faces,
      camera=views,
      lights=lights.uniform(),
      size=_SIZE,
      shading=shading,
    )
  )
  red, coat = (
    jnp.broadcast_to(jnp.asarray(rgb), vertices.shape)
    for rgb in ([1.0, 0.0, 0.0], [0.2, 0.3, 0.4])
  )
  mixed = render(red, plain=plain).rgb
  np.testing.assert_allclose(mixed[0], render(red).rgb[0], atol=1e-6)
  np.testing.assert_allclose(mixed[1], render(coat).rgb[1], atol=1e-6)
