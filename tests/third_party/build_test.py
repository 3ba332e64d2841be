"""The scripts that rebuild other people's data."""

import importlib.util
import json
import pathlib
import struct
import tarfile

import numpy as np
import pytest
from safetensors import numpy as safetensors

from maskjax.weights import bundled


def _script(folder):
  path = pathlib.Path(bundled.third_party_path(folder, 'build.py'))
  spec = importlib.util.spec_from_file_location(f'build_{folder}', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.mark.parametrize('name', ['blazeface', 'facemesh', 'selfie'])
def test_every_layer_of_mediapipe_has_a_name(name):
  _, convolutions, slopes = _script('mediapipe').LAYERS[name]
  expected = [
    f'{c}/{leaf}' for c in convolutions for leaf in ('kernel', 'bias')
  ]
  assert len(set(convolutions)) == len(convolutions)
  path = bundled.third_party_path('mediapipe', f'{name}.safetensors')
  assert set(safetensors.load_file(path)) == {*expected, *slopes}


def test_flatbuffers_are_read_by_hand():
  """A table of two fields, the second of them left out, and a vector."""
  build = _script('mediapipe')
  data = struct.pack('<I', 12)  # where the table is
  data += struct.pack('<4H', 8, 12, 8, 0)  # the field table of the next line
  data += struct.pack('<iIi', 8, 8, -7)  # back to it; field 0 at 8
  assert build.follow(data, 0) == 12
  assert build.field(data, 12, 0) == 12 + 8
  assert build.field(data, 12, 1) is None and build.field(data, 12, 9) is None
  assert build.number(data, 12, 0, '<i') == -7
  assert build.number(data, 12, 1, '<i') == 0
  vector = struct.pack('<I', 12) + struct.pack('<4H', 8, 12, 4, 0)
  vector += struct.pack('<iI', 8, 4) + struct.pack('<I3i', 3, 5, 6, 7)
  found = build.vector(vector, 12, 0, '<i4')
  np.testing.assert_array_equal(found, [5, 6, 7])
  assert len(build.vector(vector, 12, 1, '<i4')) == 0


def test_weights_are_laid_out_as_flax_has_them():
  build = _script('mediapipe')
  rng = np.random.default_rng(0)
  dense = rng.random((8, 3, 5, 4)).astype(np.float16)  # out, h, w, in
  deep = rng.random((1, 3, 3, 8)).astype(np.float16)  # 1, h, w, channels
  bias, slope = np.zeros(8, np.float16), np.ones((1, 1, 8), np.float16)
  operators = [
    (build.CONVOLUTION, [None, dense, bias]),
    (build.PRELU, [None, slope]),
    (0, [None, None]),  # an addition
    (build.DEPTHWISE, [None, deep, bias]),
  ]
  arrays = build.convert(operators, ['a', 'b'], ['slope'])
  assert arrays['a/kernel'].shape == (3, 5, 4, 8)
  assert arrays['a/kernel'][1, 2, 3, 4] == dense[4, 1, 2, 3]
  assert arrays['b/kernel'].shape == (3, 3, 1, 8)
  assert arrays['slope'].shape == (8,)
  with pytest.raises(ValueError, match=r"no weights for \['c'\]"):
    build.convert(operators, ['a', 'b', 'c'], ['slope'])


def test_face_api_names_and_bytes():
  build = _script('face_api')
  names = [
    'conv32_down/conv/filters',
    'conv32_1/conv2/scale/weights',
    'conv64_down/conv1/conv/bias',
    'entry_flow/reduction_block_1/separable_conv0/bias',
    'entry_flow/reduction_block_1/separable_conv0/pointwise_filter',
    'middle_flow/main_block_0/separable_conv2/depthwise_filter',
    'dense1/conv3/depthwise_filter',
    'dense0/conv0/filters',
    'fc/age/weights',
  ]
  assert build.rename(names) == [
    'stem/conv/kernel',
    'blocks_0/conv_2/scale/scale',
    'blocks_1/conv_1/conv/bias',
    'reduce_1/separable_0/pointwise/bias',
    'reduce_1/separable_0/pointwise/kernel',
    'main_0/separable_2/depthwise/kernel',
    'blocks_1/conv_3/depthwise/kernel',
    'blocks_0/conv_0/kernel',
    'age/kernel',
  ]
  weights = [
    {
      'name': 'fc/weights',
      'shape': [2],
      'quantization': {'scale': 1, 'min': 2},
    },
    {'name': 'fc/bias', 'shape': [1]},
  ]
  data = bytes([3, 4]) + struct.pack('<f', 0.5)
  arrays, metadata = build.convert([{'weights': weights}], data)
  np.testing.assert_array_equal(arrays['expression/kernel'], [3, 4])
  np.testing.assert_array_equal(arrays['expression/bias'], [0.5])
  assert json.loads(metadata['quantization']) == {'expression/kernel': [1, 2]}
  with pytest.raises(ValueError, match='1 bytes are left over'):
    build.convert([{'weights': weights}], data + b'x')


def test_the_font_is_that_of_its_package(tmp_path):
  build = _script('unifontex')
  path = bundled.third_party_path('unifontex', 'unifontex.woff')
  tarball = tmp_path / 'x.tgz'
  with tarfile.open(tarball, 'w:gz') as archive:
    archive.add(path, build.MEMBER)
  assert build.extract(tarball) == pathlib.Path(path).read_bytes()
  build.SHA256 = '0' * 64
  with pytest.raises(ValueError, match='expected 0000'):
    build.extract(tarball)
