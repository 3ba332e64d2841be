"""Names and layouts of parameters, PyTorch's and ours."""

import numpy as np
import pytest

from maskjax.weights import keymap
from tests.weights import diffusers_folder_test as folders

# A row of the module's table: PyTorch's key and shape, our path and shape.
ROWS = {
  'convolution': (
    'down_blocks.0.resnets.1.conv1.weight',
    (5, 3, 2, 4),
    ('down_blocks_0', 'resnets_1', 'conv1', 'kernel'),
    (2, 4, 3, 5),
  ),
  'linear': ('a.b.weight', (5, 3), ('a', 'b', 'kernel'), (3, 5)),
  'table': (
    'token_embedding.weight',
    (7, 3),
    ('token_embedding', 'embedding'),
    (7, 3),
  ),
  'normalisation': ('norm1.weight', (3,), ('norm1', 'scale'), (3,)),
  'bias': ('norm1.bias', (3,), ('norm1', 'bias'), (3,)),
  'number of its own': (
    'time_embedding.linear_1.bias',
    (3,),
    ('time_embedding', 'linear_1', 'bias'),
    (3,),
  ),
}


@pytest.mark.parametrize('name', folders.NETWORKS)
def test_torch_keys_survive_both_ways(name):
  params = folders.random_params(name)
  tensors = keymap.to_torch(params)
  folders.assert_trees_equal(keymap.from_torch(tensors), params)


@pytest.mark.parametrize('row', ROWS)
def test_rows_of_the_table(row):
  key, shape, path, expected = ROWS[row]
  value = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
  ((found_path, found),) = keymap.walk(keymap.from_torch({key: value}))
  assert (found_path, found.shape) == (path, expected)
  assert keymap.torch_key(path) == key
  np.testing.assert_array_equal(
    keymap.to_torch(keymap.from_torch({key: value}))[key], value
  )


def test_convolutions_keep_each_tap():
  value = np.random.default_rng(0).standard_normal((5, 3, 2, 4))
  kernel = keymap.from_torch({'conv.weight': value})['conv']['kernel']
  assert kernel[1, 3, 2, 4] == value[4, 2, 1, 3]


def test_old_names_are_read_and_buffers_left_out():
  tree = keymap.from_torch(
    {
      'text_model.embeddings.position_ids': np.arange(3),
      'text_model.final.bias': np.ones(2),
      'attentions.0.proj_attn.bias': np.zeros(2),
    }
  )
  paths = [path for path, _ in keymap.walk(tree)]
  assert paths == [('final', 'bias'), ('attentions_0', 'to_out_0', 'bias')]


def test_two_names_of_one_parameter_are_refused():
  tensors = {'final.bias': np.ones(2), 'text_model.final.bias': np.ones(2)}
  with pytest.raises(ValueError, match=r'text_model\.final\.bias .* two names'):
    keymap.from_torch(tensors)
