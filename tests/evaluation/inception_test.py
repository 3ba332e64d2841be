"""Inception-v3 against torchvision's and FID's own, with random weights."""

import importlib.util
import pathlib
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from maskjax.evaluation import inception
from maskjax.weights import keymap

_GOLDENS = pathlib.Path(__file__).parent / 'goldens'


def _recorder():
  path = _GOLDENS / 'record_inception.py'
  spec = importlib.util.spec_from_file_location('record_inception', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture(scope='module')
def state():
  """Return the weights of the goldens, in PyTorch's names and layout."""
  shapes = jax.eval_shape(
    inception.Inception().init, jax.random.key(0), jnp.zeros((1, 96, 96, 3))
  )
  # Names with numbers of their own cannot be told from those of lists.
  made = {}
  for path, value in keymap.walk(shapes['params']):
    leaf = {'kernel': 'weight', 'scale': 'weight'}.get(path[-1], path[-1])
    shape = value.shape
    if len(shape) == 4:
      shape = (shape[3], shape[2], shape[0], shape[1])
    name = '.'.join((*path[:-1], leaf))
    made[name] = _recorder().tensor(name, shape)
  return made


@pytest.mark.parametrize('fid', [True, False])
def test_features_are_those_of_the_reference(state, fid):
  params = keymap.from_torch(state)
  picture = jnp.asarray(_recorder().picture().transpose(0, 2, 3, 1))
  found = jax.jit(inception.Inception(fid).apply)({'params': params}, picture)
  with np.load(_GOLDENS / 'inception.npz') as golden:
    expected = golden['fid' if fid else 'torchvision']
    other = golden['torchvision' if fid else 'fid']
  scale = np.abs(expected).max()
  np.testing.assert_allclose(found[0], expected, atol=1e-5 * scale)
  # The two ways to pool differ by far more than that.
  assert np.abs(found[0] - other).max() > 1e-2 * scale


def test_weights_are_read_under_their_own_names(state, tmp_path):
  path = tmp_path / 'inception.safetensors'
  extra = {
    'fc.weight': np.zeros((8, 2048), np.float32),
    'AuxLogits.fc.bias': np.zeros(8, np.float32),
    'Mixed_5b.branch1x1.bn.num_batches_tracked': np.zeros((), np.int64),
  }
  safetensors.numpy.save_file(state | extra, path)
  params = inception.load(path)
  np.testing.assert_array_equal(
    params['Mixed_6b']['branch7x7_2']['conv']['kernel'],
    state['Mixed_6b.branch7x7_2.conv.weight'].transpose(2, 3, 1, 0),
  )
  missing = dict(state)
  missing.pop('Mixed_7c.branch_pool.bn.bias')
  safetensors.numpy.save_file(missing, path)
  with pytest.raises(ValueError, match='1 missing'):
    inception.load(path)
  with pytest.raises(ValueError, match='no such file'):
    inception.load(tmp_path / 'other.pth')
  broken = tmp_path / 'broken.pth'
  with zipfile.ZipFile(broken, 'w') as archive:
    archive.writestr('readme', 'no weights')
  with pytest.raises(ValueError, match=r'data\.pkl'):
    inception.load(broken)


def test_pictures_are_resized_as_the_references_do():
  rng = np.random.default_rng(0)
  images = rng.random((1, 40, 56, 3)).astype(np.float32)
  torch = pytest.importorskip('torch')
  found = inception.preprocess(jnp.asarray(images))
  tensor = torch.from_numpy(images.transpose(0, 3, 1, 2))
  expected = torch.nn.functional.interpolate(
    tensor, (299, 299), mode='bilinear', align_corners=False
  )
  np.testing.assert_allclose(
    found, 2 * expected.numpy().transpose(0, 2, 3, 1) - 1, atol=1e-5
  )
  with pytest.raises(ValueError, match='unknown preprocessing'):
    inception.preprocess(jnp.asarray(images), how='nearest')


def test_the_older_resizing_starts_at_corners():
  ramp = np.broadcast_to(np.arange(64.0).reshape(1, 1, 64, 1), (1, 64, 64, 3))
  found = inception.preprocess(jnp.asarray(ramp / 255), how='torch-fidelity')
  expected = np.minimum(np.arange(299) * 64 / 299, 63)
  np.testing.assert_allclose(found[0, 7, :, 1] * 128 + 128, expected, atol=1e-3)


def test_features_of_many_pictures(state):
  params = keymap.from_torch(state)
  images = np.random.default_rng(1).integers(0, 256, (3, 20, 20, 3), np.uint8)
  look = inception.extractor(params)
  found = look(images)
  assert found.shape == (3, inception.FEATURES)
  # The batch is filled up with pictures that do not count.
  np.testing.assert_allclose(look(images[2:]), found[2:], rtol=1e-4)
  np.testing.assert_allclose(
    look(images[2:].astype(np.float32) / 255), found[2:], rtol=1e-4
  )
  with pytest.raises(ValueError, match='unknown preprocessing'):
    inception.extractor(params, how='nearest')
