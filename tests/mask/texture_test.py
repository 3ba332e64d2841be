"""First image and projection: the mask's front is painted as the picture."""

import jax
import jax.numpy as jnp
import numpy as np

from configs import mask as mask_config
from maskjax.diffusion import model as model_lib
from maskjax.geometry import color, template as template_lib
from maskjax.mask import first_image, preview, texture, views
from maskjax.render import renderer
from maskjax.studio import sheets

_SIZE = 64


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


def test_projection_paints_the_front_and_fills_the_rest():
  template = _template()
  mask = first_image.front_mask(template, _SIZE)
  # Left half red, right half blue, as sRGB.
  image = np.zeros((_SIZE, _SIZE, 3), np.float32)
  image[:, : _SIZE // 2] = [0.8, 0.1, 0.1]
  image[:, _SIZE // 2 :] = [0.1, 0.1, 0.8]
  first = first_image.FirstImage(jnp.asarray(image), mask)
  colors, known = texture.project(template, first)
  colors = np.asarray(colors)
  vertices = np.asarray(template.mesh.vertices)
  assert 0.4 < known.mean() < 1.0
  assert np.isfinite(colors).all()
  assert colors.min() >= 0.0
  assert colors.max() <= 1.0
  left, right = vertices[:, 0] < -1.0, vertices[:, 0] > 1.0
  assert (colors[left, 0] > colors[left, 2]).mean() > 0.99
  assert (colors[right, 2] > colors[right, 0]).mean() > 0.99


def test_rendering_the_painted_start_gives_the_picture_back():
  template = _template()
  mask = first_image.front_mask(template, _SIZE)
  rows, columns = np.mgrid[:_SIZE, :_SIZE] / _SIZE
  image = np.stack([0.3 + 0.4 * rows, 0.3 + 0.4 * columns, 0.5 + 0 * rows], -1)
  first = first_image.FirstImage(jnp.asarray(image, jnp.float32), mask)
  colors, _ = texture.project(template, first)
  cameras, lights = views.fixed((0.0,))
  mesh = template.mesh
  back = renderer.render(
    mesh.vertices,
    mesh.faces,
    colors,
    cameras,
    lights,
    size=_SIZE,
    sigma=1e-6,
  )
  shown = np.asarray(color.linear_to_srgb(back.rgb))[0]
  inside = np.asarray(mask)[..., 0] > 0.99
  error = np.abs(shown - image)[inside]
  assert np.median(error) < 0.02


def test_first_image_is_a_picture_and_depends_on_the_mask(model_folder):
  model = model_lib.load(model_folder)

  # A new ControlNet adds nothing; give it something to say.
  def noise(x):
    return 0.3 * jax.random.normal(jax.random.key(x.size), x.shape)

  filled = jax.tree.map(noise, model.params['controlnet'])
  model = model.replace(params={**model.params, 'controlnet': filled})
  config = mask_config.get_config('tiny').first_image
  encoded = views.encode_texts(model, ['a tiger', ''])
  images = [
    first_image.generate(
      jax.random.key(0),
      model,
      _template(kind),
      encoded[0],
      encoded[1],
      config,
    ).image
    for kind in ('plain', 'face')
  ]
  for image in images:
    assert image.shape == (16, 16, 3)
    assert float(image.min()) >= 0.0
    assert float(image.max()) <= 1.0
  assert float(jnp.abs(images[0] - images[1]).max()) > 1e-3


def test_large_masks_are_shown_whole():
  mesh = _template().mesh
  mesh = mesh.replace(
    vertices=2.5 * mesh.vertices, colors=jnp.zeros_like(mesh.vertices)
  )
  (picture,) = preview.photograph(mesh, (0.0,), size=32)
  edge = np.concatenate(
    [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
  )
  assert edge.min() > 200  # the pale background
  assert picture[16, 16].max() < 50


def test_sheet_and_photographs():
  template = _template()
  mesh = template.mesh
  mesh = mesh.replace(colors=jnp.full_like(mesh.vertices, 0.5))
  pictures = preview.photograph(mesh, (-40.0, 40.0), size=32)
  assert pictures.shape == (2, 32, 32, 3)
  # Mirrored cameras see a symmetric mask mirrored, but for the key light.
  clay = preview.photograph(mesh, (0.0,), size=32, textured=False)
  assert clay.std() > 10
  sheet = sheets.titled('t', [('a', [('x', pictures[0])] * 3)], size=32)
  assert sheet.shape[1] > 3 * 32
  assert sheet.dtype == np.uint8
