"""Painting with a whole model: all of a picture, or the part of a mask."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import folding, model as model_lib, painting
from tests.diffusion import tiny_model

SIDE = tiny_model.SIZE


@pytest.fixture(scope='module')
def model(tmp_path_factory):
  """Return a model of pixels, folded by 2."""
  folder = tmp_path_factory.mktemp('model')
  return tiny_model.create(folder, with_controlnet=False)


def test_the_masked_picture_is_grey_where_it_is_to_be_painted(model):
  rng = np.random.default_rng(0)
  images = rng.uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
  mask = np.zeros((1, SIDE, SIDE, 1), np.float32)
  mask[:, :6, 4:] = 0.5  # A half counts as to be painted,
  mask[:, 10:] = 0.49  # less than a half does not.
  channels = painting.inpainting_channels(
    model, painting.Inpainting(jnp.asarray(images), jnp.asarray(mask))
  )
  assert channels.shape == (1, SIDE // 2, SIDE // 2, 13)
  expected = np.zeros((SIDE // 2, SIDE // 2))
  expected[:3, 2:] = 1
  np.testing.assert_array_equal(channels[0, ..., 0], expected)
  shown = np.array(folding.unfold(channels[..., 1:], 2))
  images[:, :6, 4:] = 0
  np.testing.assert_array_equal(shown, images)


def test_what_is_not_to_be_painted_stays(model, monkeypatch):
  def nothing(model, x_t, *arguments, **options):
    del model, arguments, options
    return jnp.zeros_like(x_t)

  monkeypatch.setattr(model_lib, 'predict_guided', nothing)
  rng = np.random.default_rng(1)
  images = rng.uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)
  mask = np.zeros((2, SIDE, SIDE, 1), np.float32)
  mask[:, :8] = 1
  tokens = jnp.zeros((2, 8, 16))
  sample = functools.partial(
    painting.sample_images,
    model,
    text=tokens,
    negative=tokens,
    steps=2,
    sampler='ddim',
    guidance_scale=1.0,
  )
  found = sample(
    rng=jax.random.key(0),
    inpainting=painting.Inpainting(jnp.asarray(images), jnp.asarray(mask)),
  )
  # float32 in [0, 1], the noise taken away again.
  np.testing.assert_allclose(found[:, 8:], 0.5 * images[:, 8:] + 0.5, atol=1e-5)
  free = sample(rng=jax.random.key(0))
  assert np.abs(free[:, 8:] - found[:, 8:]).max() > 0.1
  assert free.shape == images.shape
  assert free.min() >= 0 and free.max() <= 1
