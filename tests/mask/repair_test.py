"""Unfolding: folded triangles are smoothed away, sound meshes are spared."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.geometry import soundness
from maskjax.mask import repair, surface as surface_lib, trainable
from tests.mask import small


def _moved(surface, scale):
  shape = surface.template.mesh.vertices.shape
  offsets = scale * jax.random.normal(jax.random.key(0), shape)
  params = trainable.MaskParams(offsets, jnp.zeros(shape))
  return surface_lib.assemble(surface, params, bound=0.5)


def test_unfold_mends_a_folded_mask_and_spares_a_sound_one():
  settings = small.settings(**{'optimizer.smoothing': 8.0})
  template = surface_lib.load_template(settings)
  surface = surface_lib.create(template, settings)
  sound = _moved(surface, 0.02)
  np.testing.assert_array_equal(
    repair.unfold(sound, template).vertices, sound.vertices
  )
  # Push single vertices through their neighbourhood.
  rest = np.asarray(template.mesh.vertices).copy()
  inner = np.setdiff1d(np.arange(len(rest)), template.rim)[::97]
  rest[inner, :2] += np.array([2.5, 1.5])
  broken = template.mesh.replace(vertices=jnp.asarray(rest))
  assert soundness.report(broken).flipped > 0
  mended = repair.unfold(broken, template)
  report = soundness.report(mended, template.mesh, template.rim)
  assert report.flipped == 0
  assert report.degenerate == 0
  assert report.rim_displacement == 0.0
