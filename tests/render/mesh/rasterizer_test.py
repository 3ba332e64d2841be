"""Soft rasterizer against a dense float64 reference, analytic cases, abuse.

The hard mode has its own file, `hard_test.py`.

The reference tests every face at every pixel in NumPy, with textbook
formulas: inverse depth interpolated by barycentric coordinates, a distance to
three segments, no windows.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render.mesh import rasterizer

_INTRINSICS = np.array([[1.2, 0, 0.5], [0, 1.1, 0.45], [0, 0, 1]])


def _screen(vertices, intrinsics):
  projected = vertices @ intrinsics.T
  return 2 * projected[:, :2] / projected[:, 2:] - 1


def _distance(pixels, a, b):
  """Distance of pixels [H, W, 2] to the segment from a to b."""
  along = (pixels - a) @ (b - a) / np.sum((b - a) ** 2)
  nearest = a + np.clip(along, 0, 1)[..., None] * (b - a)
  return np.linalg.norm(pixels - nearest, axis=-1)


def _fragments(vertices, faces, intrinsics, size, sigma):
  """Return probability, depth and corner shares of all faces at all pixels."""
  centres = (2 * np.arange(size) + 1) / size - 1
  pixels = np.stack(np.meshgrid(centres, centres), -1)
  screen = _screen(vertices, intrinsics)
  for face in faces:
    a, b, c = screen[face]
    matrix = np.array([[*a, 1], [*b, 1], [*c, 1]])
    ones = np.ones((size, size, 1))
    shares = np.concatenate([pixels, ones], -1) @ np.linalg.inv(matrix)
    distance = np.minimum(
      np.minimum(_distance(pixels, a, b), _distance(pixels, b, c)),
      _distance(pixels, c, a),
    )
    inside = (shares >= 0).all(-1)
    exponent = np.where(inside, -1, 1) * distance**2 / sigma
    probability = 1 / (1 + np.exp(np.clip(exponent, -700, 700)))
    clipped = np.maximum(shares, 0) / vertices[face, 2]
    depth = np.sum(np.maximum(shares, 0), -1) / np.sum(clipped, -1)
    clipped /= np.sum(clipped, -1, keepdims=True)
    yield np.where(probability >= 1e-4, probability, 0), depth, clipped


def _reference(
  vertices,
  faces,
  attributes,
  *,
  intrinsics=_INTRINSICS,
  size,
  sigma=1e-3,
  gamma=1e-3,
  coverage='product',
  faces_per_pixel=None,
):
  """Return attributes, alpha and depth of one view, float64."""
  probability, depth, shares = map(
    np.stack, zip(*_fragments(vertices, faces, intrinsics, size, sigma))
  )
  if faces_per_pixel is not None:
    order = np.argsort(np.where(probability > 0, depth, np.inf), 0)
    rank = np.argsort(order, 0)
    probability = np.where(rank < faces_per_pixel, probability, 0)
  nearest = np.min(np.where(probability > 0, depth, np.inf), 0)
  nearest = np.where(np.isfinite(nearest), nearest, 0)
  decay = np.exp((nearest - depth) / (gamma * 99))
  weight = probability * np.where(probability > 0, decay, 0)
  total = np.where(weight.sum(0) > 0, weight.sum(0), 1)
  per_face = np.einsum('fhwi,fic->fhwc', shares, attributes[faces])
  alpha = 1 - np.prod(1 - probability, 0)
  if coverage == 'sum':
    alpha = np.minimum(1, probability.sum(0))
  return (
    np.sum(weight[..., None] * per_face, 0) / total[..., None],
    alpha,
    np.sum(weight * depth, 0) / total,
  )


@functools.partial(
  jax.jit,
  static_argnames=(
    'size',
    'sigma',
    'gamma',
    'coverage',
    'window',
    'cull_backfaces',
    'faces_per_pixel',
  ),
)
def _draw(vertices, faces, attributes, **options):
  intrinsics = jnp.asarray(_INTRINSICS, vertices.dtype)
  intrinsics = jnp.broadcast_to(intrinsics, (vertices.shape[0], 3, 3))
  options = {'sigma': 1e-3, 'gamma': 1e-3} | options
  return rasterizer.rasterize(
    vertices, faces, attributes, intrinsics, **options
  )


def _soup(views=1, faces=24, seed=0):
  """Random triangles that overlap, cross each other and leave the image."""
  rng = np.random.default_rng(seed)
  centre = rng.uniform([-4, -4, 9], [4, 4, 13], (views, faces, 1, 3))
  corners = centre + rng.normal(size=(views, faces, 3, 3)) * [1.5, 1.5, 0.7]
  vertices = corners.reshape(views, -1, 3)
  attributes = rng.normal(size=(views, vertices.shape[1], 4))
  return (
    vertices,
    np.arange(3 * faces, dtype=np.int32).reshape(-1, 3),
    attributes,
  )


def _float32(*arrays):
  return [jnp.asarray(a, jnp.float32) for a in arrays]


def _close(found, expected, atol=1e-5):
  for name, a, b in zip(rasterizer.Raster._fields, found, expected):
    # Depths are ten times larger than the rest.
    scale = 10 if name == 'depth' else 1
    np.testing.assert_allclose(a, b, atol=atol * scale, err_msg=name)


@pytest.mark.parametrize(
  'sigma, gamma, coverage',
  [(1e-3, 1e-3, 'product'), (1e-2, 1e-2, 'sum'), (1e-5, 1e-4, 'sum')],
)
def test_float32_images_equal_the_dense_reference(sigma, gamma, coverage):
  vertices, faces, attributes = _soup(views=2)
  options = {'size': 32, 'sigma': sigma, 'gamma': gamma, 'coverage': coverage}
  found = _draw(*_float32(vertices), faces, *_float32(attributes), **options)
  for view in range(2):
    expected = _reference(vertices[view], faces, attributes[view], **options)
    # Rounding of coordinates, 1e-7, times the slope of the probability over
    # distance, 1 / sqrt(sigma), or of the weight over depth, 1 / (99 gamma).
    _close([x[view] for x in found], expected, atol=1e-4)
    errors = np.abs(found.alpha[view] - expected[1])
    assert np.median(errors) < 1e-6


def test_float64_images_equal_the_dense_reference():
  vertices, faces, attributes = _soup()
  with jax.enable_x64(True):
    found = _draw(vertices, faces, attributes, size=16)
  expected = _reference(vertices[0], faces, attributes[0], size=16)
  _close([x[0] for x in found], expected, atol=1e-11)


def test_the_nearest_faces_of_a_pixel_equal_the_dense_reference():
  vertices, faces, attributes = _soup(faces=48, seed=5)
  options = {'size': 16, 'sigma': 1e-2, 'faces_per_pixel': 2}
  directions = np.random.default_rng(6).normal(size=(20, *vertices.shape))

  def theirs(vertices):
    return _reference(vertices[0], faces, attributes[0], **options)

  with jax.enable_x64(True):
    found, pull = jax.vjp(
      lambda v: _draw(v, faces, attributes, **options), jnp.asarray(vertices)
    )
    (gradient,) = pull(jax.tree.map(jnp.ones_like, found))
    gradient, *found = map(np.asarray, (gradient, *found))
  _close([x[0] for x in found], theirs(vertices), atol=1e-10)
  # The second nearest of four: the test would notice all of them.
  everything = _reference(
    vertices[0], faces, attributes[0], **options | {'faces_per_pixel': None}
  )
  assert np.abs(everything[1] - found[1][0]).max() > 0.1
  for direction in directions:
    ahead, behind = (
      sum(x.sum() for x in theirs(vertices + step * direction))
      for step in (1e-7, -1e-7)
    )
    np.testing.assert_allclose(
      np.sum(gradient * direction), (ahead - behind) / 2e-7, rtol=1e-4
    )


@pytest.mark.parametrize('coverage', ['product', 'sum'])
def test_gradients_equal_finite_differences_of_the_reference(coverage):
  vertices, faces, attributes = _soup(faces=8, seed=3)
  rng = np.random.default_rng(4)
  weights = [rng.normal(size=(16, 16, c)) for c in (4, 1, 1)]

  def loss(images):
    attributes, alpha, depth = images
    images = attributes, alpha[..., None], depth[..., None]
    return sum((w.astype(x.dtype) * x).sum() for w, x in zip(weights, images))

  def ours(vertices, attributes):
    images = _draw(vertices, faces, attributes, size=16, coverage=coverage)
    return loss([x[0] for x in images])

  with jax.enable_x64(True):
    found = jax.jit(jax.grad(ours, (0, 1)))(
      jnp.asarray(vertices), jnp.asarray(attributes)
    )
    found = [np.asarray(x) for x in found]
  single = jax.jit(jax.grad(ours, (0, 1)))(*_float32(vertices, attributes))
  for a, b in zip(single, found):
    # The decay with depth amplifies rounding by 1 / (99 gamma) = 10.
    assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(b)

  def theirs(vertices, attributes):
    return loss(
      _reference(vertices, faces, attributes, size=16, coverage=coverage)
    )

  inputs = vertices[0], attributes[0]
  step = 1e-6
  for which, gradient in enumerate(found):
    for index in rng.integers(inputs[which].size, size=20):
      pair = []
      for sign in (1, -1):
        moved = [x.copy() for x in inputs]
        moved[which].reshape(-1)[index] += sign * step
        pair.append(theirs(*moved))
      difference = (pair[0] - pair[1]) / (2 * step)
      # Central differences: third derivatives (sigma^-1.5) times 1e-12 / 6,
      # and rounding, 1e-16 of a sum of about 100, over 2e-6.
      np.testing.assert_allclose(
        gradient.reshape(-1)[index], difference, rtol=1e-5, atol=1e-6
      )


def test_result_does_not_depend_on_windows_order_or_batch():
  vertices, faces, attributes = _soup(views=2)
  vertices, attributes = _float32(vertices, attributes)
  whole = _draw(vertices, faces, attributes, size=32)
  _close(_draw(vertices, faces, attributes, size=32, window=2), whole)
  shuffled = np.random.default_rng(0).permutation(faces)
  _close(_draw(vertices, shuffled, attributes, size=32), whole)
  for view in range(2):
    one = slice(view, view + 1)
    single = _draw(vertices[one], faces, attributes[one], size=32)
    _close(single, [x[one] for x in whole])


def test_without_jit_under_vmap_and_on_many_devices():
  count = min(jax.device_count(), 2)
  vertices, faces, attributes = _soup(views=2 * count)
  vertices, attributes = (
    x.reshape(count, 2, *x.shape[1:]) for x in _float32(vertices, attributes)
  )
  intrinsics = jnp.broadcast_to(
    jnp.asarray(_INTRINSICS, jnp.float32), (2, 3, 3)
  )

  def loss(vertices, attributes):
    images = rasterizer.rasterize(
      vertices, faces, attributes, intrinsics, size=16, sigma=1e-3
    )
    return jnp.sum(images.attributes**2) + jnp.sum(images.alpha**2)

  step = jax.value_and_grad(loss)

  def local(vertices, attributes):
    found = step(vertices[0], attributes[0])
    return jax.tree.map(lambda x: x[None], found)

  mesh = jax.make_mesh(
    (count,), ('views',), axis_types=(jax.sharding.AxisType.Auto,)
  )
  spec = jax.sharding.PartitionSpec('views')
  sharded = jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec)
  plain = jax.jit(step)
  expected = [plain(v, a) for v, a in zip(vertices, attributes)]
  values, gradients = jax.tree.map(lambda *x: np.stack(x), *expected)
  # The order of additions differs: rounding of sums of 1,000 pixels.
  close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-3)
  for mapped in (jax.jit(jax.vmap(step)), jax.jit(sharded)):
    found = mapped(vertices, attributes)
    close(found[0], values)
    close(found[1], gradients)
  close(jax.pmap(loss)(vertices, attributes), values)
  close(loss(vertices[0], attributes[0]), values[0])


@pytest.mark.parametrize('keep', [None, 2])
def test_devices_that_share_the_work_all_get_whole_images(keep):
  vertices, faces, attributes = _soup(views=2, faces=240)
  vertices, attributes = _float32(vertices, attributes)
  intrinsics = jnp.broadcast_to(
    jnp.asarray(_INTRINSICS, jnp.float32), (2, 3, 3)
  )

  def draw(vertices, attributes, axis_name=None):
    def loss(vertices, attributes):
      images = rasterizer.rasterize(
        *(vertices, faces, attributes, intrinsics),
        size=64,
        sigma=1e-3,
        window=2,
        faces_per_pixel=keep,
        axis_name=axis_name,
      )
      total = jnp.sum(images.attributes**2) + jnp.sum(images.alpha**2)
      return total, images

    return jax.value_and_grad(loss, (0, 1), has_aux=True)(vertices, attributes)

  # Some 30,000 windows a view, 4,096 in a chunk: all three devices have work.
  devices = jax.devices()[:3]
  mesh = jax.sharding.Mesh(np.array(devices), ('devices',))
  same = jax.sharding.PartitionSpec()
  shared = jax.shard_map(
    functools.partial(draw, axis_name='devices'),
    mesh=mesh,
    in_specs=same,
    out_specs=same,
  )
  (_, images), gradients = jax.jit(draw)(vertices, attributes)
  (_, found), their_gradients = jax.jit(shared)(vertices, attributes)
  _close(found, images)
  for ours, theirs in zip(gradients, their_gradients):
    error = np.linalg.norm(theirs - ours) / np.linalg.norm(ours)
    assert error < 1e-4


def _flat(points, depth=10.0):
  """Vertices [1, V, 3] that project to the given screen points."""
  points = np.asarray(points, float)
  focal = 2 * np.array([_INTRINSICS[0, 0], _INTRINSICS[1, 1]])
  centre = 2 * _INTRINSICS[:2, 2] - 1
  xy = (points - centre) / focal
  depth = np.broadcast_to(depth, len(points))[:, None]
  return jnp.asarray(np.concatenate([xy * depth, depth], 1)[None], jnp.float32)


_ONE_FACE = np.array([[0, 1, 2]])


def test_small_sigma_covers_exactly_the_triangle():
  points = np.array([[-0.8, -0.6], [0.7, -0.5], [0.1, 0.9]])
  images = _draw(
    _flat(points), _ONE_FACE, jnp.ones((1, 3, 4)), size=128, sigma=1e-9
  )
  (a, b), (c, d) = points[1:] - points[0]
  area = abs(a * d - b * c) / 2
  # Pixels on the outline are in or out: 1 / 128 of its length, at random.
  assert 4 * images.alpha.mean() == pytest.approx(area, rel=5e-3)
  assert set(np.round(np.unique(images.alpha), 6)) <= {0.0, 0.5, 1.0}
  covered = np.asarray(images.alpha[0]) > 0.5
  np.testing.assert_allclose(images.attributes[0][covered], 1, atol=1e-6)
  np.testing.assert_allclose(images.depth[0][covered], 10, atol=1e-4)


def test_probability_across_a_straight_edge():
  # The left half of the image and far beyond; the edge is at x = 0.
  points = [[0.0, -50.0], [0.0, 50.0], [-90.0, 0.0]]
  images = _draw(
    _flat(points), _ONE_FACE, jnp.ones((1, 3, 4)), size=32, sigma=1e-2
  )
  x = (2 * np.arange(32) + 1) / 32 - 1
  expected = 1 / (1 + np.exp(np.sign(x) * x**2 / 1e-2))
  expected = np.where(expected < 1e-4, 0, expected)
  np.testing.assert_allclose(
    images.alpha[0], np.tile(expected, (32, 1)), atol=1e-4
  )


def test_attributes_are_perspective_correct():
  # A slanted plane: world x and depth are linear on it, not on the screen.
  points = [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]
  vertices = _flat(points, np.array([4.0, 12.0, 12.0, 4.0]))
  faces = np.array([[0, 1, 2], [0, 2, 3]])
  attributes = jnp.concatenate([vertices, vertices[..., :1]], -1)
  images = _draw(vertices, faces, attributes, size=32, sigma=1e-9)
  covered = np.asarray(images.alpha[0]) > 0.9
  assert covered.sum() > 500
  columns = (2 * np.arange(32) + 1) / 32 - 1
  slope = (1 / 12 - 1 / 4) / 1.8
  depth = np.tile(1 / (1 / 4 + slope * (columns + 0.9)), (32, 1))
  np.testing.assert_allclose(
    images.depth[0][covered], depth[covered], rtol=1e-4
  )
  np.testing.assert_allclose(
    images.attributes[0][covered][:, 2], depth[covered], rtol=1e-4
  )


def test_near_faces_hide_far_ones_and_back_faces_can_be_culled():
  points = [[-0.9, 0.9], [0.9, 0.9], [0.0, -0.9]]
  vertices = jnp.concatenate([_flat(points, 10.0), _flat(points, 8.0)], 1)
  colors = jnp.repeat(jnp.asarray([0.25, 0.75]), 3)[None, :, None]
  colors = jnp.broadcast_to(colors, (1, 6, 4))
  # On the screen, y down, (0, 1, 2) turns counter-clockwise: seen from front.
  both = np.array([[0, 1, 2], [3, 5, 4]])
  for cull, expected in ((False, 0.75), (True, 0.25)):
    images = _draw(
      vertices, both, colors, size=16, sigma=1e-6, cull_backfaces=cull
    )
    np.testing.assert_allclose(images.attributes[0, 8, 8], expected, rtol=1e-5)
    assert images.alpha[0, 8, 8] == 1


def test_the_seam_of_two_faces_is_closed_by_sum_only():
  points = [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]
  faces = np.array([[0, 1, 2], [0, 2, 3]])
  inner = {}
  for coverage in ('product', 'sum'):
    images = _draw(
      _flat(points), faces, jnp.ones((1, 4, 4)), size=32, coverage=coverage
    )
    inner[coverage] = np.asarray(images.alpha[0, 8:24, 8:24])
  np.testing.assert_allclose(inner['sum'], 1, atol=1e-5)
  np.testing.assert_allclose(inner['product'].min(), 0.75, atol=1e-4)


def _abused(vertices, faces, attributes):
  """Append faces that cannot be drawn to a scene."""
  nasty = [
    [[0, 0, 9], [0, 0, 9], [0, 0, 9]],  # a point
    [[-1, 0, 9], [0, 0, 9], [1, 0, 9]],  # a line
    [[-1, 0, 9], [-1, 0, 9], [1, 1, 9]],  # two equal corners
    [[0, 0, 9], [0, 0, 12], [0, 0, 15]],  # along the optical axis
    [[0, 0, 9], [1e-9, 0, 9], [0, 1e-9, 9]],  # tiny
    [[0, 0, 0], [1, 0, 9], [0, 1, 9]],  # a corner in the camera
    [[0, 0, -9], [1, 0, -9], [0, 1, -9]],  # behind
    [[-1, 0, -1], [1, 0, 9], [0, 1, 9]],  # through the camera
    [[-1e7, 0, 2], [1e7, 1, 2], [0, 1e7, 2]],  # huge
    [[1e30, 0, 9], [0, 1e30, 9], [0, 0, 9]],  # beyond all squares
    [[np.inf, 0, 9], [0, np.inf, 9], [0, 0, np.inf]],
    [[np.nan, 0, 9], [0, np.nan, 9], [0, 0, np.nan]],
  ]
  extra = np.asarray(nasty, float).reshape(1, -1, 3)
  count = vertices.shape[1]
  more = np.arange(extra.shape[1]).reshape(-1, 3) + count
  padding = np.zeros((1, 3), int)
  return (
    np.concatenate([vertices, extra], 1),
    np.concatenate([faces, more, padding]),
    np.concatenate([attributes, np.ones((1, extra.shape[1], 4))], 1),
  )


def test_hopeless_faces_change_nothing_and_give_finite_gradients():
  scene = _soup()

  @jax.jit
  def step(vertices, faces, attributes):
    def loss(vertices, attributes):
      images = _draw(vertices, faces, attributes, size=16, sigma=1e-2)
      return sum(jnp.sum(x**2) for x in images), images

    return jax.value_and_grad(loss, (0, 1), has_aux=True)(vertices, attributes)

  results = []
  for vertices, faces, attributes in (scene, _abused(*scene)):
    vertices, attributes = _float32(vertices, attributes)
    results.append(step(vertices, faces, attributes))
  (_, clean), clean_gradients = results[0]
  (_, abused), abused_gradients = results[1]
  _close(abused, clean)
  count = scene[0].shape[1]
  for a, b in zip(clean_gradients, abused_gradients):
    np.testing.assert_allclose(b[:, :count], a, rtol=1e-4, atol=1e-3)
    # All but the corners that were nan or infinite to begin with.
    assert np.isfinite(b[:, :-6]).all()
    np.testing.assert_array_equal(b[:, count:-6], 0)
  vertices, faces, attributes = scene
  behind = _float32(vertices * [1, 1, -1])[0]
  (value, _), gradients = step(behind, faces, *_float32(attributes))
  assert value == 0
  for gradient in gradients:
    np.testing.assert_array_equal(gradient, 0)


def test_nearly_degenerate_faces_stay_finite():
  rng = np.random.default_rng(0)
  base = rng.uniform([-4, -4, 5], [4, 4, 9], (1, 200, 1, 3))
  arm = rng.normal(size=(1, 200, 1, 3))
  spread = 10.0 ** rng.uniform(-9, 3, (1, 200, 1, 1))
  thin = 10.0 ** rng.uniform(-9, 0, (1, 200, 1, 1))
  along = np.array([0.0, 1.0, 2.3]).reshape(1, 1, 3, 1)
  corners = base + spread * arm * along
  corners += spread * thin * rng.normal(size=(1, 200, 3, 3))
  vertices, attributes = _float32(
    corners.reshape(1, -1, 3), rng.normal(size=(1, 600, 4))
  )
  faces = np.arange(600).reshape(-1, 3)

  def loss(vertices, attributes):
    images = _draw(vertices, faces, attributes, size=16, sigma=1e-4)
    return sum(jnp.sum(x**2) for x in images)

  step = jax.jit(jax.value_and_grad(loss, (0, 1)))
  value, gradients = step(vertices, attributes)
  assert np.isfinite(value) and value > 0
  for gradient in gradients:
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
  'change, message',
  [
    ({'sigma': 0.0}, 'sigma > 0'),
    ({'gamma': -1.0}, 'gamma > 0'),
    ({'size': 0}, 'size > 0'),
    ({'depth_range': (10.0, 5.0)}, 'far - near'),
    ({'coverage': 'maximum'}, "'product' or 'sum'"),
    ({'faces_per_pixel': 0}, 'faces_per_pixel > 0'),
    ({'mode': 'firm'}, "'soft' or 'hard'"),
    ({'projection': 'fisheye'}, "'perspective' or 'orthographic'"),
    ({'faces': np.zeros((2, 4), int)}, 'faces'),
    ({'faces': np.zeros((0, 3), int)}, 'at least one face'),
    ({'vertices_camera': jnp.ones((3, 3))}, 'vertices'),
    ({'attributes': jnp.ones((2, 3, 4))}, 'attributes'),
    ({'intrinsics': jnp.ones((3, 3))}, 'intrinsics'),
    ({'size': 2**17, 'window': 1}, 'windows'),
  ],
)
def test_bad_arguments_are_refused(change, message, unchecked):
  del unchecked
  arguments = {
    'vertices_camera': jnp.ones((1, 3, 3)),
    'faces': _ONE_FACE,
    'attributes': jnp.ones((1, 3, 4)),
    'intrinsics': jnp.ones((1, 3, 3)),
    'size': 16,
  }
  with pytest.raises(ValueError, match=message):
    rasterizer.rasterize(**arguments | change)
