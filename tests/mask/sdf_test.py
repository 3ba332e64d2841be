"""The trainable volume: start shape, growth, rim, overflow, export."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import chamfer, soundness, template as template_lib
from maskjax.mask import sdf, surface as surface_lib
from tests.mask import small

_BOUND = 0.8


_SDF = {'sdf.cell': 2.0, 'sdf.margin': 8.0}


@pytest.fixture(scope='module')
def surface():
  settings = small.settings(geometry='sdf', **_SDF)
  template = template_lib.mask_template('plain', edge_length=1.2)
  return surface_lib.create(template, settings)


@pytest.fixture(scope='module')
def volume(surface):
  return surface.base.body


@pytest.fixture(scope='module')
def shaped(surface):
  """Return the compiled function from parameters to the rendered shape."""
  return jax.jit(functools.partial(surface_lib.shape, surface, bound=_BOUND))


def test_the_start_is_the_template_closed_from_behind(surface):
  template = template_lib.mask_template('plain', edge_length=1.2)
  mesh = surface.template.mesh
  assert soundness.report(mesh).sound
  assert len(template_lib.boundary_loops(np.asarray(mesh.faces))) == 0
  assert chamfer.distance(mesh, template.mesh, surface='visible') < 0.8
  vertices = np.asarray(mesh.vertices)
  low, high = vertices.min(0), vertices.max(0)
  np.testing.assert_allclose(low[0], -high[0], atol=0.1)


def test_what_is_rendered_is_what_is_exported(surface, shaped):
  colors = jax.random.uniform(
    jax.random.key(0),
    surface.template.mesh.vertices.shape,
    minval=0.2,
    maxval=0.8,
  )
  params = surface_lib.initial_params(surface, colors)
  shape = shaped(params)
  assert 0.3 < float(shape.formed.measures['fullness']) < 0.5  # headroom is 2.5
  drawn = np.asarray(shape.faces)
  drawn = drawn[drawn[:, 0] != drawn[:, 1]]
  np.testing.assert_allclose(len(drawn), len(surface.template.mesh.faces))
  assert float(shape.colors.min()) > 0.15 and float(shape.colors.max()) < 0.85
  mesh = surface_lib.assemble(surface, params, bound=_BOUND)
  assert len(mesh.faces) == len(drawn)


def test_growth_is_outward_bounded_and_leaves_the_rim(surface, volume):
  start = surface.template.mesh.vertices
  params = surface_lib.initial_params(surface, jnp.full_like(start, 0.5))
  grown = params._replace(offsets=params.offsets + 0.1)
  before = surface_lib.assemble(surface, params, bound=_BOUND)
  after = surface_lib.assemble(surface, grown, bound=_BOUND)
  z = [np.asarray(m.vertices)[:, 2] for m in (before, after)]
  np.testing.assert_allclose(z[1].max() - z[0].max(), 1.5, atol=0.5)
  np.testing.assert_allclose(z[1].min(), z[0].min(), atol=0.05)
  wild = sdf.growth(volume, params.offsets + 50.0, bound=_BOUND)
  assert float(wild.max()) <= _BOUND + 1e-6
  # However large, it is not cut open by the border of the grid.
  huge = surface_lib.assemble(
    surface, params._replace(offsets=params.offsets + 50.0), bound=_BOUND
  )
  assert len(huge.faces) > 1.5 * len(before.faces)
  assert len(template_lib.boundary_loops(np.asarray(huge.faces))) == 0


def test_gradients_pull_the_surface_outward(surface):
  start = surface.template.mesh.vertices
  params = surface_lib.initial_params(surface, jnp.full_like(start, 0.5))

  @jax.jit
  def push(params):
    def loss(params):
      shape = surface_lib.shape(surface, params, bound=_BOUND)
      front = shape.vertices[:, 2] > 5.0
      return -jnp.sum(jnp.where(front, shape.vertices[:, 2], 0.0))

    return jax.grad(loss)(params)

  gradient = push(params).offsets
  assert np.isfinite(np.asarray(gradient)).all()
  moved = params._replace(offsets=params.offsets - 0.3 * jnp.sign(gradient))
  after = surface_lib.assemble(surface, moved, bound=_BOUND)
  assert float(after.vertices[:, 2].max()) > float(start[:, 2].max()) + 0.5


def test_energies_are_small_at_rest_and_finite_on_wild_shapes(volume):
  weights = small.settings('default').regularizers
  rest = sdf.energies(volume, jnp.zeros_like(volume.start), weights)
  assert set(rest) == {'laplacian', 'edge_length', 'symmetry'}
  assert float(rest['laplacian']) == 0.0
  assert float(rest['symmetry']) == 0.0
  assert float(rest['edge_length']) < 0.3 * weights.edge_length
  wild = jax.random.normal(jax.random.key(0), volume.start.shape)

  @jax.jit
  def total(fallen):
    return sum(sdf.energies(volume, fallen, weights).values())

  assert float(total(wild)) > 1.0 * float(sum(rest.values()))
  assert np.isfinite(np.asarray(jax.grad(total)(wild))).all()
  flat = jax.grad(total)(volume.start)  # the distance is 0 everywhere
  assert np.isfinite(np.asarray(flat)).all()


def test_overflow_shows_in_the_fullness(surface, shaped):
  params = surface_lib.initial_params(
    surface, jnp.full_like(surface.template.mesh.vertices, 0.5)
  )
  noise = jax.random.normal(jax.random.key(0), params.offsets.shape)
  rough = params._replace(offsets=20.0 * noise)
  shape = shaped(rough)
  assert float(shape.formed.measures['fullness']) > 1.0


def test_crumbs_are_dropped_at_export(volume):
  fallen = jnp.zeros_like(volume.start).at[2, 2, -3].set(20.0)
  mesh = sdf.export(volume, fallen)
  clean = sdf.export(volume, jnp.zeros_like(volume.start))
  assert len(mesh.faces) == len(clean.faces)


def test_bad_numbers_are_refused():
  for name, number in (('cell', 0.0), ('margin', 3.0)):
    with pytest.raises(ValueError, match=rf'sdf\.{name}'):
      small.settings(**{**_SDF, f'sdf.{name}': number})


def test_a_surface_that_outgrows_its_lists_ends_the_run():
  sdf.watch(10, {'fullness': 0.9})
  with pytest.raises(ValueError, match=r'larger --config\.sdf\.headroom'):
    sdf.watch(10, {'fullness': 1.2})


def test_a_step_that_overflows_is_held_back(surface):
  updates = {'x': jnp.ones(2)}
  for fullness, expected in ((0.9, 1.0), (1.2, 0.0)):
    metrics = {'fullness': jnp.float32(fullness)}
    held = surface.geometry.hold(updates, metrics)
    np.testing.assert_array_equal(held['x'], expected)
