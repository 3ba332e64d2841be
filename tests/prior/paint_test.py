"""Pictures from words: files, seeds, masks, and what cannot be painted."""

import json

import jax
import numpy as np
from PIL import Image
import pytest

from maskjax.prior import paint
from tests.diffusion import tiny_model


@pytest.fixture
def drawn(tmp_path):
  """Draw a mask whose left half is to be painted, and a red picture."""
  mask = np.zeros((24, 24), np.uint8)
  mask[:, :12] = 255
  Image.fromarray(mask).save(tmp_path / 'mask.png')
  red = np.full((20, 30, 3), (200, 10, 10), np.uint8)
  Image.fromarray(red).save(tmp_path / 'red.png')
  return tmp_path


def read(path):
  with Image.open(path) as image:
    return np.asarray(image)


def request(folder, **fields):
  values = {'prompt': 'a tiger mask', 'count': 1, 'steps': 2, **fields}
  return paint.Request(path=str(folder), **values)


def test_files_and_seeds(model_folder, drawn):
  asked = request(model_folder, count=2, mask=str(drawn / 'mask.png'))
  settings = paint.run(asked, str(drawn / 'both'))
  names = {path.name for path in (drawn / 'both').iterdir()}
  assert names == {'0000.png', '0001.png', 'grid.png', 'settings.json'}
  assert json.loads((drawn / 'both' / 'settings.json').read_text()) == (
    json.loads(json.dumps(settings))
  )
  second = request(model_folder, seed=1, mask=str(drawn / 'mask.png'))
  paint.run(second, str(drawn / 'second'))
  both = [read(drawn / 'both' / f'000{i}.png') for i in range(2)]
  np.testing.assert_array_equal(read(drawn / 'second' / '0001.png'), both[1])
  assert both[0].shape == (16, 16, 3)
  assert (both[0] != both[1]).any()


def test_only_the_masked_part_is_painted(model_folder, drawn):
  asked = request(
    model_folder,
    mask=str(drawn / 'mask.png'),
    init_image=str(drawn / 'red.png'),
  )
  paint.run(asked, str(drawn / 'out'))
  image = read(drawn / 'out' / '0000.png').astype(int)
  assert np.abs(image[:, 8:] - (200, 10, 10)).max() <= 1
  assert np.abs(image[:, :8] - (200, 10, 10)).max() > 20


def test_normals_are_painted_beside_a_picture_that_is_known(maps_folder, drawn):
  asked = request(
    maps_folder,
    mask=str(drawn / 'mask.png'),
    init_image=str(drawn / 'red.png'),
  )
  paint.run(asked, str(drawn / 'out'))
  names = {path.name for path in (drawn / 'out').iterdir()}
  assert names == {
    '0000.png',
    '0000_normals.png',
    'grid.png',
    'settings.json',
  }
  image = read(drawn / 'out' / '0000.png').astype(int)
  assert np.abs(image[:, 8:] - (200, 10, 10)).max() <= 1
  # Normals are known nowhere, and so painted everywhere.
  normals = read(drawn / 'out' / '0000_normals.png').astype(int)
  assert normals[:, :8].std() > 5.0 and normals[:, 8:].std() > 5.0


def test_latent_models_and_controlnets_apart(drawn):
  tiny_model.create_latent(drawn / 'model', inpainting=True)
  tiny_model.create_latent(drawn / 'other', controlnets=1)
  asked = request(
    drawn / 'model',
    controlnets=(str(drawn / 'other' / 'controlnet'),),
    conditions=(str(drawn / 'red.png'),),
    mask=str(drawn / 'mask.png'),
    init_image=str(drawn / 'red.png'),
    sampler='dpmpp_2m',
  )
  settings = paint.run(asked, str(drawn / 'out'))
  assert settings['sample_size'] == 16
  assert read(drawn / 'out' / '0000.png').shape == (16, 16, 3)


@pytest.mark.parametrize(
  'fields, words',
  [
    ({'prompt': ' '}, "prompt is ' '; give some words"),
    ({'count': 0}, 'count is 0; expected 1 to 10000'),
    ({'steps': 0}, 'steps is 0; expected 1 to 1000'),
    ({'sampler': 'magic'}, "sampler is 'magic'; not one of auto, "),
    ({'seed': 2**32}, 'seed is 4294967296; expected 0 to 4,294,967,295'),
    ({'seed': 2**32 - 1, 'count': 2}, 'the last seed would be'),
    ({'guidance_scale': float('nan')}, 'guidance_scale is nan'),
    ({'controlnet_scales': (float('inf'),)}, 'controlnet_scales is'),
    ({'init_image': 'red.png'}, '--init_image needs --mask'),
    ({'controlnets': ('x',)}, '--controlnet needs --condition or --mask'),
    ({'mask': 'nowhere.png'}, 'nowhere.png'),
    ({'conditions': ('a.png', 'b.png')}, '2 pictures in --condition for 1'),
    ({'dtype': 'float8'}, "dtype 'float8'"),
  ],
)
def test_bad_input_gives_one_line_and_no_files(
  model_folder, tmp_path, fields, words
):
  with pytest.raises((ValueError, OSError), match=words) as caught:
    paint.run(request(model_folder, **fields), str(tmp_path / 'out'))
  assert '\n' not in str(caught.value)
  assert not (tmp_path / 'out').exists()


def test_a_full_memory_names_the_flag(model_folder, tmp_path, monkeypatch):
  def fill(*_):
    raise jax.errors.JaxRuntimeError(
      'RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\n'
    )

  monkeypatch.setattr(paint, 'paint', fill)
  with pytest.raises(ValueError, match='--dtype=bfloat16') as caught:
    paint.run(request(model_folder), str(tmp_path / 'out'))
  assert '\n' not in str(caught.value)
