"""The start of a run: painted or grey, kept, and recalled."""

import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from maskjax.mask import first_image, start as start_lib, surface, trainable
from tests.mask import small


def _start(colors, offsets=0.0):
  """Return a start whose pictures are made up."""
  image = jnp.linspace(0.0, 1.0, 12).reshape(2, 2, 3)
  first = first_image.FirstImage(image, jnp.ones((2, 2, 1)))
  params = trainable.MaskParams(jnp.full((4, 3), offsets), colors)
  return start_lib.Start(params, first)


def test_what_was_kept_is_recalled(tmp_path):
  kept = _start(jnp.arange(12.0).reshape(4, 3))
  start_lib.save(tmp_path, kept)
  found = start_lib.load(tmp_path, _start(jnp.zeros((4, 3)), offsets=0.5))
  np.testing.assert_array_equal(found.params.colors, kept.params.colors)
  np.testing.assert_array_equal(found.params.offsets, 0.5)
  np.testing.assert_array_equal(found.first.image, kept.first.image)
  np.testing.assert_array_equal(found.first.mask, kept.first.mask)
  with Image.open(tmp_path / 'first_image.png') as picture:
    expected = np.round(np.asarray(kept.first.image) * 255)
    np.testing.assert_array_equal(np.asarray(picture), expected)


@pytest.mark.parametrize('content', [None, b'', b'PK\x03\x04torn'])
def test_a_damaged_start_is_not_recalled(tmp_path, content):
  if content is not None:
    (tmp_path / 'start.npz').write_bytes(content)
  words = 'is missing' if content is None else 'is damaged'
  with pytest.raises(ValueError, match=words) as error:
    start_lib.load(tmp_path, _start(jnp.zeros((4, 3))))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('shape', [(3, 3), (4, 4), (12,)])
def test_a_start_of_another_surface_is_not_recalled(tmp_path, shape):
  start_lib.save(tmp_path, _start(jnp.zeros((4, 3))))
  with pytest.raises(ValueError, match=r'start\.npz is damaged \(colors_0 has'):
    start_lib.load(tmp_path, _start(jnp.zeros(shape)))


def test_nothing_is_kept_of_a_grey_start(tmp_path):
  settings = small.settings()
  template = surface.load_template(settings)
  start = start_lib.grey(surface.create(template, settings))
  assert start.first is None
  np.testing.assert_allclose(jnp.asarray(start.params.colors), 0.0, atol=1e-6)
  np.testing.assert_array_equal(start.params.offsets, 0.0)
  start_lib.save(tmp_path, start)
  assert not any(tmp_path.iterdir())
