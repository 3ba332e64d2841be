import numpy as np
import pytest

from maskjax.weights import eg3d_keys

FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64


def state():
  rng = np.random.default_rng(0)
  normal = lambda *shape: rng.standard_normal(shape)
  return {
    'backbone.mapping.w_avg': normal(4),
    'backbone.synthesis.b4.const': normal(5, 4, 4),
    'backbone.synthesis.b4.resample_filter': FILTER,
    'backbone.synthesis.b4.conv1.weight': normal(6, 5, 3, 3),
    'backbone.synthesis.b4.conv1.noise_const': normal(4, 4),
    'backbone.synthesis.b4.conv1.resample_filter': FILTER,
    'backbone.synthesis.b4.conv1.affine.weight': normal(5, 4),
    'backbone.synthesis.b4.torgb.weight': normal(3, 6, 1, 1),
    'decoder.net.0.weight': normal(7, 2),
  }


def test_layouts():
  given = state()
  variables = eg3d_keys.from_state(given)
  params = variables['params']
  block = params['backbone']['synthesis']['b4']
  assert block['const'].shape == (4, 4, 5)
  assert block['conv1']['kernel'].shape == (3, 3, 5, 6)
  assert block['conv1']['affine']['kernel'].shape == (4, 5)
  assert params['decoder']['net_0']['kernel'].shape == (2, 7)
  assert variables['buffers']['backbone']['mapping']['w_avg'].shape == (4,)
  assert block['conv1']['kernel'][0, 1, 2, 3] == pytest.approx(
    given['backbone.synthesis.b4.conv1.weight'][3, 2, 0, 1]
  )


def test_round_trip():
  given = state()
  back = eg3d_keys.to_state(eg3d_keys.from_state(given))
  assert set(back) == set(given)
  for key, value in given.items():
    np.testing.assert_array_equal(back[key], value)


def test_other_filters_are_refused():
  with pytest.raises(ValueError, match='resample_filter is not'):
    eg3d_keys.filter_gain({'b4.resample_filter': np.ones((4, 4)) / 16})


def test_shapes_are_compared():
  one = {'a': np.zeros(2)}
  eg3d_keys.check_shapes(one, one)
  with pytest.raises(ValueError, match='missing, first a'):
    eg3d_keys.check_shapes({}, one)
  with pytest.raises(ValueError, match='unknown, first a'):
    eg3d_keys.check_shapes(one, {})
  with pytest.raises(ValueError, match=r'a has the shape \(2,\)'):
    eg3d_keys.check_shapes(one, {'a': np.zeros(3)})
