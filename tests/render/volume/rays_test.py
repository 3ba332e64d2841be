import jax
import jax.numpy as jnp
import numpy as np

from maskjax.geometry import camera
from maskjax.render.volume import rays


def test_rays_pass_through_their_pixels():
  own = camera.orbit(jnp.array([20.0, -40.0]), 10.0, radius=2.7)
  origins, directions = jax.jit(rays.camera_rays, static_argnums=1)(own, 3)
  places, depth = camera.project(own, origins + 2 * directions)
  centres = (np.arange(3) + 0.5) / 3
  v, u = np.meshgrid(centres, centres, indexing='ij')
  expected = np.stack([u.ravel(), v.ravel()], -1)[None].repeat(2, 0)
  np.testing.assert_allclose(places, expected, atol=1e-5)
  assert float(depth.min()) > 0


def test_a_ray_s_uniforms_do_not_depend_on_other_rays():
  draw = jax.jit(rays.draw_uniforms, static_argnums=(1, 2, 3, 4))
  few = draw(jax.random.key(0), 1, 2, 5, 3)
  many = draw(jax.random.key(0), 3, 4, 5, 3)
  np.testing.assert_array_equal(few.jitter[0], many.jitter[0, :2])
  np.testing.assert_array_equal(few.fine[0], many.fine[0, :2])
  assert len(np.unique(many.jitter)) == many.jitter.size


def test_sample_pdf_inverts_the_cumulative_distribution():
  rng = np.random.default_rng(0)
  edges = np.sort(rng.uniform(size=(1, 1, 6))).astype(np.float32)
  weights = rng.uniform(0.1, 1.0, size=(1, 1, 5)).astype(np.float32)
  u = rng.uniform(size=(1, 1, 20)).astype(np.float32)
  cumulative = np.cumsum(weights[0, 0]) / weights.sum()
  expected = np.interp(u[0, 0], [0, *cumulative], edges[0, 0])
  ours = rays.sample_pdf(
    jnp.asarray(edges), jnp.asarray(weights), jnp.asarray(u)
  )
  np.testing.assert_allclose(ours[0, 0], expected, atol=1e-4)


def test_box_limits():
  own = rays.Rays(
    jnp.array([[[0.1, 0.2, 2.0], [2.0, 0.0, 2.0]]]),
    jnp.array([[[0.0, 0.0, -1.0], [0.0, 0.0, -1.0]]]),
  )
  near, far = rays.box_limits(own, 1.0)
  np.testing.assert_allclose(near, [[1.5, -1.0]], atol=1e-6)
  np.testing.assert_allclose(far, [[2.5, -2.0]], atol=1e-6)
