"""With a denoiser that knows the answer, the loop finds the shape.

The denoiser is the ideal one for a single object: its clean picture is a
render of the target under the same camera and light. What is left to show is
that renderer, distillation and preconditioned updates carry its opinion into
the vertices: the mask must become the target (claims 1, 6, 7 and 14).
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.diffusion import distill, schedulers
from maskjax.geometry import (
  chamfer,
  color,
  mesh as mesh_lib,
  soundness,
  template as template_lib,
)
from maskjax.mask import (
  renders,
  step as step_lib,
  surface as surface_lib,
  views as views_lib,
)
from maskjax.prior import training as prior_training
from maskjax.render import renderer
from maskjax.studio import views as studio_views
from tests.mask import small

_SIZE = 48
_STEPS = 120


def _target(template):
  """Return a long-nosed mask with a wide brow, in colours of its own."""
  vertices = np.asarray(template.mesh.vertices)
  x, y, z = vertices.T
  nose = np.exp(-((x / 1.8) ** 2) - ((y + 1.5) / 2.5) ** 2)
  sides = np.clip((8.0 - np.abs(y - 2.0)) / 8.0, 0.0, 1.0)
  moved = np.stack([x * (1 + 0.25 * sides), y, z + 4.5 * nose], -1)
  colors = np.stack([0.2 + 0.6 * nose, 0.5 + 0 * nose, 0.3 + 0.2 * sides], -1)
  return mesh_lib.Mesh(
    vertices=jnp.asarray(moved, jnp.float32),
    faces=template.mesh.faces,
    colors=jnp.asarray(colors, jnp.float32),
    uvs=None,
  )


@pytest.mark.parametrize('residual', distill.RESIDUALS)
def test_the_loop_recovers_a_known_mask(residual):
  settings = small.settings(
    'default',
    **{'distill.residual': residual, 'optimizer.pin_rim': False},
  )
  template = template_lib.mask_template('plain', edge_length=1.0)
  target = _target(template)
  surface = surface_lib.create(template, settings)
  schedule = schedulers.from_config(prior_training.SCHEDULER)
  tx = step_lib.optimizer(surface, settings)
  grey = jnp.full_like(template.mesh.vertices, 0.5)
  start = surface_lib.initial_params(surface, grey)
  state = step_lib.create_state(start, tx)

  def losses(params, keys, views):
    behind = jax.vmap(studio_views.background, (0, None))(keys[:, 0], _SIZE)
    truth = renderer.render(
      target.vertices,
      target.faces,
      target.colors,
      views.camera,
      views.lights,
      size=_SIZE,
      background=behind,
    ).rgb
    x0 = 2.0 * color.linear_to_srgb(truth) - 1.0
    rendering, shape = renders.render_views(
      surface, params, views, behind, settings
    )
    z = 2.0 * color.linear_to_srgb(rendering.rgb) - 1.0
    t = jax.vmap(lambda key: jax.random.randint(key, (), 100, 700))(keys[:, 1])
    eps = jax.random.normal(keys[0, 2], z.shape)

    def ideal(x_t, t):
      at = schedulers.level(schedule, t, x_t)
      return schedulers.to_v(schedule, x0, (x_t - at.alpha * x0) / at.sigma, t)

    loss, _ = distill.sds_loss(
      ideal, z, t, eps, schedule=schedule, residual=residual
    )
    terms = surface.geometry.energies(
      surface.base, shape.formed, settings.regularizers
    )
    return loss / z[0].size + sum(terms.values())

  @jax.jit
  def step(state, rng):
    keys = jax.vmap(lambda key: jax.random.split(key, 4))(
      jax.random.split(rng, 3)
    )
    views = jax.vmap(lambda key: views_lib.draw(key, settings.views))(
      keys[:, 3]
    )
    grads = jax.grad(losses)(state.params, keys, views)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    return dataclasses.replace(
      state,
      params=optax.apply_updates(state.params, updates),
      opt_state=opt_state,
    )

  for number in range(_STEPS):
    state = step(state, jax.random.fold_in(jax.random.key(1), number))
  result = surface_lib.assemble(
    surface, state.params, bound=settings.optimizer.offset_bound
  )
  before = chamfer.distance(template.mesh, target, surface='front')
  after = chamfer.distance(result, target, surface='front')
  assert after < 0.6 * before
  error = np.abs(np.asarray(result.colors - target.colors)).mean()
  assert error < 0.5 * np.abs(0.5 - np.asarray(target.colors)).mean()
  report = soundness.report(result, template.mesh)
  assert report.flipped == 0
  assert report.degenerate == 0
