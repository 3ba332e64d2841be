"""Inverse rendering finds what was planted: shape, camera, light, texture."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import trimesh

from maskjax.geometry import camera as camera_lib, laplacian
from maskjax.render import lights as lights_lib, renderer, textures

_ORIGIN = (0.0, 0.0, 0.0)
# Outlines that gradients feel from two pixels away; targets are as soft, so
# that what was planted is the optimum.
_SOFT = 3e-4


def _sphere(level):
  ball = trimesh.creation.icosphere(subdivisions=level)
  return np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.int32)


def _bumpy(points):
  """Return a shape with a long nose and a dent."""
  waves = 1 + 0.15 * np.sin(3 * points[:, :1]) * np.cos(2 * points[:, 1:2])
  nose = 0.5 * np.exp(-8 * np.sum((points - [0.6, 0, 0.8]) ** 2, 1))[:, None]
  return np.float32(5 * points * (waves + nose) * [1.0, 1.3, 0.9])


def _minimize(loss, start, rate, steps):
  tx = optax.adam(optax.cosine_decay_schedule(rate, steps), b2=0.99)

  @jax.jit
  def run(start):
    def step(_, state):
      params, opt_state = state
      updates, opt_state = tx.update(jax.grad(loss)(params), opt_state)
      return optax.apply_updates(params, updates), opt_state

    return jax.lax.fori_loop(0, steps, step, (start, tx.init(start)))[0]

  return run(start)


def _draw(vertices, faces, colors, camera, lights=None, **options):
  options = {'size': 48, 'background': (0.1, 0.2, 0.3)} | options
  lights = lights_lib.uniform() if lights is None else lights
  return renderer.render(vertices, faces, colors, camera, lights, **options)


def test_a_mesh_from_8_silhouettes():
  points, faces = _sphere(3)
  angles = jnp.asarray([0.0, 45, 90, 135, 180, 225, 270, 315])
  tilts = jnp.asarray([0.0, 25, -25, 25, -25, 25, -25, 0])
  cameras = camera_lib.orbit(
    angles, tilts, radius=25.0, fovy=40.0, target=_ORIGIN
  )
  smooth = jnp.asarray(laplacian.smoothing_operator(points, faces, 8.0))
  silhouettes = jax.jit(
    functools.partial(
      _draw,
      faces=faces,
      colors=jnp.zeros(points.shape),
      camera=cameras,
      sigma=_SOFT,
      size=64,
    )
  )
  target = silhouettes(jnp.asarray(_bumpy(points))).alpha
  start = jnp.asarray(6.0 * points)

  def place(offsets):
    return start + jnp.matmul(smooth, offsets, precision='highest')

  def loss(offsets):
    alpha = silhouettes(place(offsets)).alpha
    return jnp.mean((alpha - target) ** 2)

  found = _minimize(loss, jnp.zeros_like(start), 0.4, 150)
  wanted = np.asarray(target) > 0.5

  def iou(vertices):
    got = np.asarray(silhouettes(vertices).alpha) > 0.5
    return (got & wanted).sum() / (got | wanted).sum()

  assert iou(start) < 0.9
  assert iou(place(found)) >= 0.98


def test_a_camera():
  points, faces = _sphere(2)
  vertices = jnp.asarray(_bumpy(points))
  colors = jnp.asarray(0.5 + 0.4 * np.sin(3 * points))

  @jax.jit
  def picture(pose):
    azimuth, elevation, radius = pose
    camera = camera_lib.orbit(
      azimuth[None], elevation[None], radius=radius[None], target=_ORIGIN
    )
    return _draw(vertices, faces, colors, camera, sigma=_SOFT).rgb

  truth = jnp.asarray([25.0, 10.0, 30.0])
  target = picture(truth)

  def loss(pose):
    return jnp.mean((picture(pose) - target) ** 2)

  start = jnp.asarray([10.0, -3.0, 34.0])
  found = _minimize(loss, start, 1.0, 120)
  np.testing.assert_allclose(found, truth, atol=0.3)


def test_lights():
  points, faces = _sphere(3)
  vertices = jnp.asarray(_bumpy(points))
  camera = camera_lib.orbit(
    jnp.asarray([-30.0, 30]), jnp.asarray([15.0, -15]), radius=30.0
  )
  truth = lights_lib.directional(
    (0.5, 0.6, 0.7), color=(0.8, 0.7, 0.5), ambient=(0.1, 0.15, 0.2)
  )

  @jax.jit
  def picture(lights):
    return _draw(
      *(vertices, faces, jnp.full(vertices.shape, 0.7), camera, lights),
      shading='lambert',
    ).rgb

  target = picture(truth)

  def build(params):
    direction, color, ambient = params
    return lights_lib.directional(direction, color, ambient)

  def loss(params):
    return jnp.mean((picture(build(params)) - target) ** 2)

  start = jnp.asarray([[-0.5, 0.0, 1.0], [0.5, 0.5, 0.5], [0.3, 0.3, 0.3]])
  found = build(_minimize(loss, start, 0.05, 150))
  np.testing.assert_allclose(found.directions, truth.directions, atol=0.01)
  np.testing.assert_allclose(
    found.direction_colors, truth.direction_colors, atol=0.01
  )
  np.testing.assert_allclose(found.ambient, truth.ambient, atol=0.01)


def test_a_texture():
  count, size = 9, 16
  line = np.linspace(-1, 1, count)
  x, y = np.meshgrid(line, line)
  vertices = np.stack([6 * x, 6 * y, 2 * np.cos(2 * x) * np.cos(y)], -1)
  vertices = jnp.asarray(vertices.reshape(-1, 3), jnp.float32)
  uvs = jnp.asarray(np.stack([x, y], -1).reshape(-1, 2) / 2 + 0.5, jnp.float32)
  index = np.arange(count**2).reshape(count, count)
  a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
  c, d = index[1:, 1:].ravel(), index[1:, :-1].ravel()
  faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
  camera = camera_lib.orbit(
    jnp.asarray([-35.0, 0, 35]), jnp.asarray([20.0, 0, -20]), radius=27.0
  )

  @functools.partial(jax.jit, static_argnames=('mode',))
  def picture(image, mode):
    return _draw(
      *(vertices, faces, jnp.zeros(vertices.shape), camera),
      mode=mode,
      shading='unlit',
      texture=textures.from_image(image, uvs),
    ).rgb

  truth = jnp.asarray(
    np.random.default_rng(0).uniform(0.1, 0.9, (size, size, 3)), jnp.float32
  )
  for mode in ('hard', 'soft'):
    target = picture(truth, mode)

    def loss(image, mode=mode, target=target):
      return jnp.mean((picture(image, mode) - target) ** 2)

    found = _minimize(loss, jnp.full(truth.shape, 0.5), 0.1, 120)
    assert float(jnp.abs(found - truth).mean()) < 0.01, mode
