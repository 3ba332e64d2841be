"""Hard rasterizer: exact visibility, and gradients by shading and by shape.

The reference casts a ray through every sample and solves for its intersection
with every face, in float64. Gradients by shape are compared with differences
of images that average many such samples per pixel.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render.mesh import outline, rasterizer

_INTRINSICS = np.array([[1.2, 0, 0.5], [0, 1.1, 0.45], [0, 0, 1]])


def _samples(size, count=1, shift=(0.0, 0.0)):
  """Image coordinates [S, S, 2] of `count`^2 samples per pixel."""
  line = (np.arange(size * count) + 0.5) / (size * count)
  return np.stack(np.meshgrid(line, line), -1) + np.array(shift) / size


def _hits(vertices, faces, places, orthographic=False):
  """Barycentric coordinates [S, S, F, 3] and depths, infinite if missed."""
  rays = np.concatenate([places, np.ones_like(places[..., :1])], -1)
  rays = rays @ np.linalg.inv(_INTRINSICS).T
  corners = vertices[faces].copy()
  if orthographic:
    corners[..., 2] = 1
  solved = np.einsum('fij,hwi->hwfj', np.linalg.inv(corners), rays)
  with np.errstate(divide='ignore', invalid='ignore'):
    shares = solved / solved.sum(-1, keepdims=True)
    depth = np.sum(shares * vertices[faces][..., 2], -1)
  hit = (shares >= 0).all(-1) & (depth > 1)
  return shares, np.where(hit, depth, np.inf)


def _reference(vertices, faces, attributes, places, orthographic=False):
  """Face, barycentric coordinates, depth and attributes of what is seen."""
  shares, depth = _hits(vertices, faces, places, orthographic)
  seen = np.argmin(depth, -1)
  pick = (*np.indices(seen.shape), seen)
  shares, depth = shares[pick], depth[pick]
  hit = np.isfinite(depth)
  values = np.sum(shares[..., None] * attributes[faces[seen]], -2)
  return (
    np.where(hit, seen, -1),
    np.where(hit[..., None], shares, 0),
    np.where(hit, depth, 0),
    np.where(hit[..., None], values, 0),
  )


_STATIC = (
  'size',
  'antialias',
  'projection',
  'cull_backfaces',
  'window',
  'mode',
  'sigma',
  'clip_near',
)


@functools.partial(jax.jit, static_argnames=_STATIC)
def _draw(vertices, faces, attributes, **options):
  intrinsics = jnp.asarray(_INTRINSICS, vertices.dtype)
  intrinsics = jnp.broadcast_to(intrinsics, (vertices.shape[0], 3, 3))
  return rasterizer.rasterize(
    vertices, faces, attributes, intrinsics, **{'mode': 'hard'} | options
  )


def _float32(*arrays):
  return [jnp.asarray(a, jnp.float32) for a in arrays]


def _scenes(views, faces, seed=0):
  """Random triangles of all sizes, float32; some cross the near plane."""
  rng = np.random.default_rng(seed)
  shape = (views, faces, 1, 3)
  depth = rng.uniform(2, 12, (views, faces, 1, 1))
  centre = rng.uniform(-0.5, 0.5, shape) * [1, 1, 0] * depth
  centre = centre + depth * np.array([0.0, 0.0, 1.0])
  spread = depth * 10 ** rng.uniform(-2.5, 0, (views, faces, 1, 1))
  corners = centre + spread * rng.normal(size=(views, faces, 3, 3))
  return corners.reshape(views, -1, 3).astype(np.float32)


def _corner_marks(views, faces):
  """Return attributes that tell the face and two barycentric coordinates."""
  marks = np.zeros((faces, 3, 3))
  marks[:, 0, 0] = marks[:, 1, 1] = 1
  marks[:, :, 2] = np.arange(faces)[:, None]
  return np.broadcast_to(marks.reshape(1, -1, 3), (views, 3 * faces, 3))


@pytest.mark.parametrize('projection', ['perspective', 'orthographic'])
def test_visibility_is_exact_on_200_scenes(projection):
  views, count, size = 200, 10, 24
  vertices = _scenes(views, count)
  if projection == 'orthographic':
    vertices[..., :2] /= 5
  faces = np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
  marks = _corner_marks(views, count)
  found = _draw(
    *_float32(vertices),
    faces,
    *_float32(marks),
    size=size,
    antialias=False,
    projection=projection,
  )
  crossing, decided, covered = 0, 0, 0
  for view in range(views):
    results = [
      _reference(
        vertices[view].astype(np.float64),
        faces,
        marks[view],
        _samples(size, shift=shift),
        orthographic=projection == 'orthographic',
      )
      # What a ten-thousandth of a pixel changes, float32 cannot decide.
      for shift in ((0, 0), (1e-4, 0), (-1e-4, 0), (0, 1e-4), (0, -1e-4))
    ]
    seen, _, depth, values = results[0]
    sure = np.all([r[0] == seen for r in results], 0)
    image = [np.asarray(x[view]) for x in found]
    np.testing.assert_array_equal(image[1][sure], seen[sure] >= 0)
    hit = sure & (seen >= 0)
    # Places are exact to 1e-6 pixels: a hundredth of the shift.
    slack = np.max([np.abs(r[3] - values) for r in results], 0) * 0.05
    error = np.abs(image[0] - values)[..., :2]
    assert (error <= 1e-5 + slack[..., :2])[hit].all()
    np.testing.assert_allclose(image[0][..., 2][hit], seen[hit], atol=1e-4)
    slack = np.max([np.abs(r[2] - depth) for r in results], 0) * 0.05
    assert (np.abs(image[2] - depth) <= 1e-5 * depth + slack)[hit].all()
    decided += sure.sum()
    covered += hit.sum()
    z = vertices[view, ..., 2].reshape(-1, 3)
    crossing += ((z.min(-1) < 1) & (z.max(-1) > 1)).sum()
  assert decided > 0.998 * views * size**2
  assert 0.15 < covered / decided < 0.95
  assert crossing > 50


def _icosphere(subdivisions, radius=1.0):
  """Vertices [V, 3] and faces of a sphere, counter-clockwise from outside."""
  golden = (1 + 5**0.5) / 2
  points = [[-1, golden, 0], [1, golden, 0], [-1, -golden, 0], [1, -golden, 0]]
  points += [[c, a, b] for a, b, c in points]
  points += [[b, c, a] for a, b, c in points[:4]]
  points = np.array(points) / np.hypot(1, golden)
  # All triples of neighbours, turned outward.
  near = np.linalg.norm(points[:, None] - points[None], axis=-1) < 1.1
  faces = [
    (i, j, k) if np.linalg.det(points[[i, j, k]]) > 0 else (i, k, j)
    for i in range(12)
    for j in range(i)
    for k in range(j)
    if near[i, j] and near[j, k] and near[k, i]
  ]
  for _ in range(subdivisions):
    middle, parts = {}, []
    points = list(points)
    for a, b, c in faces:
      new = []
      for pair in ((a, b), (b, c), (c, a)):
        key = tuple(sorted(pair))
        if key not in middle:
          mean = points[pair[0]] + points[pair[1]]
          middle[key] = len(points)
          points.append(mean / np.linalg.norm(mean))
        new.append(middle[key])
      d, e, f = new
      parts += [(a, d, f), (d, b, e), (f, e, c), (d, e, f)]
    faces = parts
  return radius * np.array(points), np.array(faces, np.int32)


def test_watertight_meshes_have_no_cracks():
  # From inside of a sphere every pixel sees it, across the near plane too.
  points, faces = _icosphere(1, radius=3.0)
  rng = np.random.default_rng(0)
  turns = np.linalg.qr(rng.normal(size=(8, 3, 3)))[0]
  vertices = np.einsum('bij,vj->bvi', turns, points)
  vertices += rng.uniform(-0.5, 0.5, (8, 1, 3))
  ones = jnp.ones((8, len(points), 1))
  images = _draw(*_float32(vertices), faces, ones, size=64)
  np.testing.assert_array_equal(images.alpha, 1)
  np.testing.assert_allclose(images.attributes, 1, atol=1e-5)
  # A plane whose vertices and edges lie exactly on the centres of pixels.
  line = (np.arange(17) - 8) / 16
  x, y = np.meshgrid(line, line)
  grid = np.stack([x, y, 0 * x + 1], -1).reshape(1, -1, 3) * 2
  index = np.arange(17 * 17).reshape(17, 17)
  a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
  faces = np.stack([a, b, c, c, b, d], -1).reshape(-1, 3)
  intrinsics = jnp.asarray([[[1.0, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1]]])
  plane = rasterizer.rasterize(
    *_float32(grid), faces, *_float32(grid), intrinsics, size=17, mode='hard'
  )
  np.testing.assert_array_equal(plane.alpha, 1)


def _loss(images, weights):
  attributes, alpha, depth = images
  color, area, distance = (w.astype(alpha.dtype) for w in weights)
  return (
    (color * attributes * alpha[..., None]).sum()
    + (area * alpha).sum()
    + (distance * depth * alpha).sum()
  )


@pytest.mark.parametrize('projection', ['perspective', 'orthographic'])
def test_gradients_of_shading_equal_finite_differences(projection):
  vertices = _scenes(1, 12, seed=2)[0].astype(np.float64)
  if projection == 'orthographic':
    vertices[..., :2] /= 5
  faces = np.arange(36, dtype=np.int32).reshape(-1, 3)
  rng = np.random.default_rng(2)
  attributes = rng.normal(size=(36, 4))
  size = 16
  weights = [rng.normal(size=(size, size, *c)) for c in ((4,), (), ())]
  options = {'size': size, 'antialias': False, 'projection': projection}

  def ours(vertices, attributes):
    images = _draw(vertices[None], faces, attributes[None], **options)
    return _loss([x[0] for x in images], weights)

  def theirs(vertices, attributes):
    _, _, depth, values = _reference(
      vertices, faces, attributes, _samples(size), projection != 'perspective'
    )
    return _loss((values, (depth > 0).astype(float), depth), weights)

  inputs = vertices, attributes
  with jax.enable_x64(True):
    found = jax.grad(ours, (0, 1))(*map(jnp.asarray, inputs))
    found = [np.asarray(x) for x in found]
  single = jax.grad(ours, (0, 1))(*_float32(*inputs))
  for a, b in zip(single, found):
    assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(b)
  for which, gradient in enumerate(found):
    picked = rng.permutation(np.nonzero(gradient.reshape(-1))[0])[:40]
    differences = np.zeros(picked.size)
    for place, index in enumerate(picked):
      pair = []
      for step in (1e-6, -1e-6):
        moved = [x.copy() for x in inputs]
        moved[which].reshape(-1)[index] += step
        pair.append(theirs(*moved))
      differences[place] = (pair[0] - pair[1]) / 2e-6
    scale = np.abs(differences).max()
    np.testing.assert_allclose(
      gradient.reshape(-1)[picked], differences, rtol=1e-5, atol=1e-6 * scale
    )


def _area_loss(vertices, faces, attributes, weights, size, count=6):
  """Return the loss of an image that averages count^2 samples per pixel."""
  _, _, depth, values = _reference(
    vertices, faces, attributes, _samples(size, count)
  )
  images = np.concatenate([(depth > 0)[..., None], values], -1)
  images = images.reshape(size, count, size, count, -1).mean((1, 3))
  return (images * weights).sum()


def _occluded():
  """Return a tetrahedron in front of a quad, which reaches beyond it."""
  vertices = np.array(
    [
      [-1.9, -1.7, 6.0],
      [1.6, -1.3, 6.5],
      [0.2, 1.6, 6.2],
      [-0.1, -0.3, 4.6],
      [-2.7, -2.2, 9.0],
      [0.8, -3.1, 9.5],
      [0.9, 1.7, 9.0],
      [-2.3, 2.9, 8.5],
    ]
  )
  faces = np.array(
    [[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0], [4, 6, 5], [4, 7, 6]]
  )
  colors = np.random.default_rng(3).uniform(size=(8, 3))
  return vertices, faces, colors


def _motions(vertices):
  """Move, grow and turn the first and the last four vertices."""
  for part in (slice(0, 4), slice(4, 8)):
    x, y = (vertices[part] - vertices[part].mean(0))[:, :2].T
    one, zero = np.ones(4), np.zeros(4)
    for dx, dy in ((one, zero), (zero, one), (x, y), (-y, x)):
      motion = np.zeros_like(vertices)
      motion[part, 0], motion[part, 1] = dx, dy
      yield motion


def test_gradients_by_shape_equal_those_of_the_area_average():
  vertices, faces, colors = _occluded()
  size = 64
  # Smooth weights: a loss that does not see where in a pixel things are.
  y, x = np.mgrid[:size, :size] / size
  waves = [np.sin(3 * x + a) * np.cos(2 * y - 2 * a) for a in range(4)]
  weights = np.stack(waves, -1)

  @functools.partial(jax.jit, static_argnames='antialias')
  def ours(vertices, faces, antialias):
    images = _draw(
      *(vertices[None], faces, *_float32(colors[None])),
      size=size,
      antialias=antialias,
    )
    color = images.attributes[0] * images.alpha[0][..., None]
    image = jnp.concatenate([images.alpha[0][..., None], color], -1)
    return jnp.sum(image * weights.astype(np.float32))

  slope = jax.value_and_grad(ours)
  value, gradient = slope(*_float32(vertices), faces, antialias=True)
  shading = jax.grad(ours)(*_float32(vertices), faces, antialias=False)
  average = functools.partial(
    _area_loss, faces=faces, attributes=colors, weights=weights, size=size
  )
  np.testing.assert_allclose(value, average(vertices), rtol=2e-3)
  motions = list(_motions(vertices))
  expected = [
    (average(vertices + 0.05 * m) - average(vertices - 0.05 * m)) / 0.1
    for m in motions
  ]
  found, without = (
    np.array([np.sum(g * m) for m in motions]) for g in (gradient, shading)
  )
  # The ends of edges fall anywhere between the lines of pixels.
  error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
  assert error < 0.05, (found, expected)
  # Without silhouettes most of it is missing.
  error = np.linalg.norm(without - expected) / np.linalg.norm(expected)
  assert error > 0.5, (without, expected)


def test_silhouettes_of_faces_smaller_than_pixels_count():
  points, faces = _icosphere(3, radius=1.0)
  size, centre = 24, np.array([0.05, 0.1, 4.0])

  @jax.jit
  def area(scale, shift, faces):
    vertices = scale * jnp.asarray(points, jnp.float32)
    vertices = vertices + (jnp.asarray(centre, jnp.float32) + shift)[None]
    images = _draw(
      vertices[None], faces, jnp.ones((1, len(points), 1)), size=size
    )
    x = (jnp.arange(size) + 0.5) / size
    alpha = images.alpha[0]
    return jnp.stack([jnp.sum(alpha), jnp.sum(alpha * x[None])]) / size**2

  inputs = jnp.ones(()), jnp.zeros(3), faces
  found, values = jax.jacobian(area, (0, 1))(*inputs), area(*inputs)

  def outline(scale, shift):
    # Rays that pass the centre of the sphere at less than its radius.
    middle = centre + np.array([shift, 0, 0])
    places = _samples(size, 24) - _INTRINSICS[:2, 2]
    rays = places / [_INTRINSICS[0, 0], _INTRINSICS[1, 1]]
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
    along = rays @ middle / np.linalg.norm(rays, axis=-1)
    inside = along**2 > middle @ middle - scale**2
    weight = _samples(size, 24)[..., 0]
    return np.array([inside.mean(), (inside * weight).mean()])

  step = 0.05
  by_scale = (outline(1 + step, 0) - outline(1 - step, 0)) / (2 * step)
  by_shift = (outline(1, step) - outline(1, -step)) / (2 * step)
  # The polyhedron lies up to 0.4 % inside of the sphere.
  np.testing.assert_allclose(values, outline(1, 0), rtol=0.012)
  np.testing.assert_allclose(found[0], by_scale, rtol=0.04)
  np.testing.assert_allclose(found[1][1, 0], by_shift[1], rtol=0.05)


def test_straight_edges_are_blended_by_area():
  # Edges at 4.3, 11.8 columns and 3.9, 12.4 rows of 16.
  x, y = np.meshgrid([4.3, 11.8], [3.9, 12.4])
  places = np.stack([x, y], -1).reshape(-1, 2) / 16
  rays = np.concatenate([places, np.ones((4, 1))], -1)
  vertices = 5 * rays @ np.linalg.inv(_INTRINSICS).T
  faces = np.array([[0, 1, 3], [0, 3, 2]])
  images = _draw(*_float32(vertices[None]), faces, jnp.ones((1, 4, 2)), size=16)
  columns = np.zeros(16)
  columns[4:12] = [0.7, *6 * [1], 0.8]
  rows = np.zeros(16)
  rows[3:13] = [0.1, *8 * [1], 0.4]
  np.testing.assert_allclose(images.alpha[0, 6], columns, atol=1e-5)
  np.testing.assert_allclose(images.alpha[0, :, 6], rows, atol=1e-5)
  covered = np.asarray(images.alpha[0]) > 0
  np.testing.assert_allclose(images.attributes[0][covered], 1, atol=1e-5)
  np.testing.assert_allclose(images.depth[0][covered], 5, atol=1e-4)


def test_seams_and_hidden_layers_are_not_blended():
  points, faces = _icosphere(2)
  rng = np.random.default_rng(5)
  colors = rng.uniform(size=points.shape)
  centre = np.array([0.1, -0.1, 4.0])
  draw = functools.partial(_draw, size=32)
  plain = draw(
    *_float32((points + centre)[None]), faces, *_float32(colors[None])
  )
  # Inside of a sphere, a smaller one whose outline is closely behind.
  both = np.concatenate([points, 0.97 * points]) + centre
  layers = draw(
    *_float32(both[None]),
    np.concatenate([faces, faces + len(points)]),
    *_float32(np.concatenate([colors, 1 - colors])[None]),
  )
  for a, b in zip(plain, layers):
    np.testing.assert_allclose(a, b, atol=1e-5)
  # Every face with vertices of its own: all edges lack a neighbour.
  vertices, faces, colors = _occluded()
  welded = draw(*_float32(vertices[None]), faces, *_float32(colors[None]))
  loose = draw(
    *_float32(vertices[faces].reshape(1, -1, 3)),
    np.arange(faces.size).reshape(-1, 3),
    *_float32(colors[faces].reshape(1, -1, 3)),
  )
  for a, b in zip(welded, loose):
    # But for corners within a pixel.
    same = np.isclose(a, b, atol=1e-4).reshape(32, 32, -1).all(-1)
    assert same.mean() > 0.99


def test_twins_of_closed_open_and_broken_meshes():
  tetrahedron = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
  faces = np.concatenate([tetrahedron, [[2, 3, 4], [5, 6, 7], [6, 5, 8]]])
  faces = np.concatenate([faces, [[9, 10, 11], [9, 10, 12], [0, 0, 0]]])
  found = outline.twins(jnp.asarray(faces, jnp.int32))

  def ends(edge):
    face, corner = divmod(edge, 3)
    return faces[face][(corner + 1) % 3], faces[face][(corner + 2) % 3]

  counts = {}
  for edge in range(faces.size):
    counts.setdefault(frozenset(ends(edge)), []).append(edge)
  for group in counts.values():
    for edge in group:
      other = int(found.edge[edge])
      if len(group) != 2:
        assert other == -1
        continue
      assert {edge, other} == set(group)
      assert bool(found.aligned[edge]) == (ends(edge) == ends(other))
  jitted = jax.jit(outline.twins)(jnp.asarray(faces, jnp.int32))
  np.testing.assert_array_equal(jitted.edge, found.edge)


_NASTY = [
  [[0, 0, 9], [0, 0, 9], [0, 0, 9]],  # a point
  [[-1, 0, 9], [0, 0, 9], [1, 0, 9]],  # a line
  [[-1, 0, 9], [-1, 0, 9], [1, 1, 9]],  # two equal corners
  [[0, 0, 9], [0, 0, 12], [0, 0, 15]],  # along the optical axis
  [[0, 0, 9], [1e-9, 0, 9], [0, 1e-9, 9]],  # tiny
  [[0, 0, -9], [1, 0, -9], [0, 1, -9]],  # behind
  [[0, 0, 0], [0, 0, 0.5], [0, 1e-3, 0]],  # in the camera
  [[np.inf, 0, 9], [0, np.inf, 9], [0, 0, np.inf]],
  [[np.nan, 0, 9], [0, np.nan, 9], [0, 0, np.nan]],
]


@functools.partial(jax.jit, static_argnames='mode')
def _step(vertices, faces, attributes, mode='hard'):
  def loss(vertices, attributes):
    images = _draw(vertices, faces, attributes, size=16, mode=mode)
    return sum(jnp.sum(x**2) for x in images), images

  return jax.value_and_grad(loss, (0, 1), has_aux=True)(vertices, attributes)


def test_hopeless_faces_change_nothing_and_give_finite_gradients():
  vertices, faces, colors = _occluded()
  extra = np.array(_NASTY, float).reshape(-1, 3)
  more = np.arange(len(extra)).reshape(-1, 3) + len(vertices)
  (_, clean), clean_gradients = _step(
    *_float32(vertices[None]), faces, *_float32(colors[None])
  )
  (_, abused), gradients = _step(
    *_float32(np.concatenate([vertices, extra])[None]),
    np.concatenate([faces, more, np.zeros((1, 3), int)]),
    *_float32(np.concatenate([colors, np.ones(extra.shape)])[None]),
  )
  for a, b in zip(clean, abused):
    np.testing.assert_allclose(a, b, atol=1e-5)
  for a, b in zip(clean_gradients, gradients):
    np.testing.assert_allclose(b[:, : len(vertices)], a, rtol=1e-3, atol=1e-2)
    # All but the corners that were nan or infinite to begin with.
    assert np.isfinite(b[:, :-6]).all()


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_lost_vertex_does_not_reach_its_neighbours(value):
  """Faces with a corner that is not finite are as good as not there."""
  side = 6
  rows, columns = np.mgrid[:side, :side].reshape(2, -1)
  height = 9 + 0.3 * np.sin(columns)
  vertices = np.stack([columns - 2.5, rows - 2.5, height], -1)
  first = (rows * side + columns)[(rows < side - 1) & (columns < side - 1)]
  faces = np.concatenate(
    [
      np.stack([first, first + side, first + 1], -1),
      np.stack([first + 1, first + side, first + side + 1], -1),
    ]
  )
  colors = np.random.default_rng(0).uniform(size=vertices.shape)
  # In the middle; in the first face; in the last one.
  for lost in (14, 0, side**2 - 1):
    gone = (faces == lost).any(1)
    broken = vertices.copy()
    broken[lost] = value
    results = []
    for places, kept in ((vertices, faces[~gone]), (broken, faces)):
      # As many faces, so that the windows are the same.
      padding = np.zeros((len(faces) - len(kept), 3), int)
      kept = np.concatenate([padding, kept])
      results.append(
        _step(*_float32(places[None]), kept, *_float32(colors[None]))
      )
    (value_without, images), gradients = results[0]
    (value_with, others), found = results[1]
    np.testing.assert_allclose(value_with, value_without, rtol=1e-5)
    for a, b in zip(images, others):
      np.testing.assert_allclose(b, a, atol=1e-4)
    rest = np.arange(side**2) != lost
    for a, b in zip(gradients, found):
      scale = np.abs(np.asarray(a)).max()
      np.testing.assert_allclose(b[:, rest], a[:, rest], atol=1e-4 * scale)
    # Nor does it reach itself.
    assert not np.asarray(found[0])[:, lost].any()


def test_nearly_degenerate_and_huge_faces_stay_finite():
  rng = np.random.default_rng(0)
  base = rng.uniform([-4, -4, 0], [4, 4, 9], (1, 200, 1, 3))
  arm = rng.normal(size=(1, 200, 1, 3))
  spread = 10.0 ** rng.uniform(-9, 25, (1, 200, 1, 1))
  thin = 10.0 ** rng.uniform(-9, 0, (1, 200, 1, 1))
  along = np.array([0.0, 1.0, 2.3]).reshape(1, 1, 3, 1)
  corners = base + spread * arm * along
  corners += spread * thin * rng.normal(size=(1, 200, 3, 3))
  (value, images), gradients = _step(
    *_float32(corners.reshape(1, -1, 3)),
    np.arange(600).reshape(-1, 3),
    *_float32(rng.normal(size=(1, 600, 2))),
  )
  assert np.isfinite(value) and value > 0
  assert images.alpha.min() >= 0 and images.alpha.max() <= 1
  for gradient in gradients:
    assert np.isfinite(gradient).all()


def test_result_does_not_depend_on_windows_batch_or_traced_faces():
  vertices, faces, colors = _occluded()
  vertices = np.stack([vertices, vertices * [1, -1, 1] + [0.3, 0, 0]])
  vertices, colors = _float32(vertices, np.stack([colors, 1 - colors]))
  whole = _draw(vertices, faces, colors, size=32)
  # One view, other windows, and faces that are known while tracing.
  intrinsics = jnp.asarray(_INTRINSICS[None], jnp.float32)
  one = jax.jit(
    lambda vertices, colors: rasterizer.rasterize(
      *(vertices, faces, colors, intrinsics), size=32, mode='hard', window=16
    )
  )(vertices[1:], colors[1:])
  for a, b in zip(whole, one):
    np.testing.assert_allclose(a[1:], b, atol=1e-5)


def test_under_vmap_and_on_two_devices():
  vertices, faces, colors = _occluded()
  vertices = np.stack([vertices, vertices * [1, -1, 1] + [0.3, 0, 0]])
  vertices, colors = _float32(vertices, np.stack([colors, 1 - colors]))
  intrinsics = jnp.asarray(_INTRINSICS[None], jnp.float32)

  def loss(vertices, colors):
    images = rasterizer.rasterize(
      *(vertices[None], faces, colors[None], intrinsics), size=16, mode='hard'
    )
    return jnp.sum(images.attributes**2) + jnp.sum(images.alpha**2)

  step = jax.value_and_grad(loss, (0, 1))

  def local(vertices, colors):
    found = step(vertices[0], colors[0])
    return jax.tree.map(lambda x: x[None], found)

  plain = jax.jit(step)
  expected = [plain(v, c) for v, c in zip(vertices, colors)]
  expected = jax.tree.map(lambda *x: np.stack(x), *expected)
  mesh = jax.make_mesh(
    (2,), ('views',), axis_types=(jax.sharding.AxisType.Auto,)
  )
  spec = jax.sharding.PartitionSpec('views')
  sharded = jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec)
  for mapped in (jax.vmap(step), sharded):
    found = jax.jit(mapped)(vertices, colors)
    # The order of additions differs: rounding of sums of 256 pixels.
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected)):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_back_faces_can_be_culled():
  vertices, faces, colors = _occluded()
  arguments = *_float32(vertices[None]), faces, *_float32(colors[None])
  both = _draw(*arguments, size=32)
  culled = _draw(*arguments, size=32, cull_backfaces=True)
  turned = _draw(
    arguments[0], faces[:, ::-1], arguments[2], size=32, cull_backfaces=True
  )
  # All faces in sight are seen from outside.
  for a, b in zip(both, culled):
    np.testing.assert_allclose(a, b, atol=1e-5)
  assert turned.depth.max() > 6.05 and turned.depth.max() < 6.5


@pytest.mark.parametrize('projection', ['perspective', 'orthographic'])
def test_soft_faces_are_cut_at_the_near_plane_too(projection):
  vertices = _scenes(4, 12, seed=2)
  if projection == 'orthographic':
    vertices[..., :2] /= 5
  faces = np.arange(36, dtype=np.int32).reshape(-1, 3)
  marks = _corner_marks(4, 12)
  draw = functools.partial(
    _draw, *_float32(vertices), faces, *_float32(marks), size=32
  )
  hard = draw(antialias=False, projection=projection)
  options = {'mode': 'soft', 'sigma': 1e-9, 'projection': projection}
  cut, dropped = draw(clip_near=True, **options), draw(**options)
  same = np.abs(np.asarray(cut.alpha - hard.alpha)) < 1e-3
  # But for pixels cut by an edge.
  assert same.mean() > 0.99
  assert np.mean(np.abs(dropped.alpha - hard.alpha) > 0.5) > 0.03
  covered = same & np.asarray(hard.alpha > 0.5)
  depths = np.abs(np.asarray(cut.depth / jnp.maximum(hard.depth, 1)) - 1)
  # Nearly equal depths are blended, gamma = 1e-4 of 99 cm.
  assert np.mean(depths[covered] < 1e-3) > 0.98
