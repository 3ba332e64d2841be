"""The first image has the shape of the mask that it is painted into."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.diffusion import model as model_lib
from maskjax.geometry import template as template_lib
from maskjax.mask import first_image, views
from tests.mask import small

_SIZE = 64


@functools.cache
def _template(kind='plain'):
  return template_lib.mask_template(kind, edge_length=0.8)


def test_front_mask_has_holes_only_where_the_template_has():
  plain = np.asarray(first_image.front_mask(_template(), _SIZE))[..., 0]
  face = np.asarray(first_image.front_mask(_template('face'), _SIZE))[..., 0]
  assert plain.shape == (_SIZE, _SIZE)
  assert plain.max() > 0.99
  assert plain[0, 0] == 0.0
  inside = plain > 0.99
  assert (face[inside] < 0.5).sum() > 20
  # An oval is whole: every row is one run of pixels.
  runs = np.abs(np.diff((plain > 0.5).astype(int), axis=1)).sum(1)
  assert set(runs) <= {0, 2}


def test_first_image_is_a_picture_and_depends_on_the_mask(model_folder):
  model = model_lib.load(model_folder)

  # A new ControlNet adds nothing; give it something to say.
  def noise(x):
    return 0.3 * jax.random.normal(jax.random.key(x.size), x.shape)

  filled = jax.tree.map(noise, model.params['controlnet'])
  model = model.replace(params={**model.params, 'controlnet': filled})
  settings = small.settings().first_image
  encoded = views.encode_texts(model, ['a tiger', ''])
  images = [
    first_image.generate(
      jax.random.key(0),
      model,
      _template(kind),
      encoded[0],
      encoded[1],
      settings,
    ).image
    for kind in ('plain', 'face')
  ]
  for image in images:
    assert image.shape == (16, 16, 3)
    assert float(image.min()) >= 0.0
    assert float(image.max()) <= 1.0
  assert float(jnp.abs(images[0] - images[1]).max()) > 1e-3
