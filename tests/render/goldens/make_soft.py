r"""Makes soft_1280_64_clipped.npz: the soft formula, densely and in float64.

  python tests/render/goldens/make_soft.py

Every pixel meets every face, and the derivative is automatic: nothing is
shared with the rasterizer but the formula. `--order=after` clips barycentric
coordinates after they are corrected for perspective, as in soft_1280_64.npz,
and only compares with it.
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np

FOLDER = pathlib.Path(__file__).parent
SIGMA = GAMMA = 1e-4
NEAR, FAR = 1.0, 100.0
BLUR = SIGMA * np.log(1e4 - 1)
SIZE = 64


def _squared_distance(place, start, end):
  """From a place to the edges of all faces."""
  along = end - start
  offset = place - start
  part = jnp.sum(offset * along, -1) / jnp.sum(along * along, -1)
  rest = offset - jnp.clip(part, 0.0, 1.0)[..., None] * along
  return jnp.sum(rest * rest, -1)


def _shares(screen, depths, place, clip_first):
  """Perspective-correct, clipped barycentric coordinates; and if inside."""
  first, second, third = (screen[:, i] for i in range(3))

  def area(a, b, c):
    (ax, ay), (bx, by) = (b - a).T, (c - a).T
    return ax * by - ay * bx

  whole = area(first, second, third)
  place = jnp.broadcast_to(place, first.shape)
  flat = [
    area(place, second, third) / whole,
    area(first, place, third) / whole,
    area(first, second, place) / whole,
  ]
  flat = jnp.stack(flat, -1)
  inside = jnp.all(flat > 0, -1)
  if clip_first:
    flat = jnp.maximum(flat, 0.0)
  deep = flat / depths
  deep = deep / jnp.sum(deep, -1, keepdims=True)
  if not clip_first:
    deep = jnp.maximum(deep, 0.0)
    deep = deep / jnp.sum(deep, -1, keepdims=True)
  return deep, inside


def _pixel(vertices, colors, faces, place, clip_first):
  """RGB and alpha of one pixel."""
  screen = 2 * vertices[:, :2] / vertices[:, 2:]
  corners, depths = screen[faces], vertices[faces, 2]
  shares, inside = _shares(corners, depths, place, clip_first)
  squared = [
    _squared_distance(place, corners[:, i], corners[:, (i + 1) % 3])
    for i in range(3)
  ]
  squared = jnp.minimum(jnp.minimum(squared[0], squared[1]), squared[2])
  counted = inside | (squared < BLUR)
  score = jnp.where(inside, squared, -squared) / SIGMA
  probability = jnp.where(counted, jax.nn.sigmoid(score), 0.0)
  depth = jnp.sum(shares * depths, -1)
  nearness = jnp.where(counted, (FAR - depth) / (FAR - NEAR), 0.0)
  nearest = jnp.maximum(jnp.max(nearness), 1e-10)
  weights = probability * jnp.exp((nearness - nearest) / GAMMA)
  paper = jnp.maximum(jnp.exp((1e-10 - nearest) / GAMMA), 1e-10)
  seen = jnp.sum(shares[..., None] * colors[faces], 1)
  rgb = (weights @ seen + paper) / (jnp.sum(weights) + paper)
  alpha = 1.0 - jnp.prod(1.0 - probability)
  return jnp.append(rgb, alpha)


def draw(vertices, colors, faces, clip_first):
  """Return the picture [64, 64, 4]."""
  line = (2 * jnp.arange(SIZE) + 1) / SIZE - 1

  @jax.checkpoint
  def row(y):
    places = jnp.stack([line, jnp.full(SIZE, y)], -1)
    return jax.vmap(_pixel, (None, None, None, 0, None))(
      vertices, colors, faces, places, clip_first
    )

  return jax.lax.map(row, -line)


def main():
  """Draw, differentiate, compare, and write."""
  jax.config.update('jax_enable_x64', True)
  clip_first = '--order=after' not in sys.argv[1:]
  golden = np.load(FOLDER / 'soft_1280_64.npz')
  faces = golden['faces'].astype(np.int32)
  weights = np.random.default_rng(0).standard_normal((1, SIZE, SIZE, 4))
  weights = weights[0].astype(np.float32).astype(np.float64)

  @jax.jit
  def run(vertices, colors):
    def loss(vertices, colors):
      image = draw(vertices, colors, faces, clip_first)
      return jnp.sum(image * weights), image

    return jax.grad(loss, (0, 1), has_aux=True)(vertices, colors)

  start = (golden['vertices'].astype(float), golden['colors'].astype(float))
  (by_vertices, by_colors), image = run(*start)
  found = {'image': image, 'by_vertices': by_vertices, 'by_colors': by_colors}
  for name, values in found.items():
    other = golden[name]
    error = np.linalg.norm(values - other) / np.linalg.norm(other)
    print(f'{name}: {error:.2e} from soft_1280_64.npz')
  if clip_first:
    found = {k: np.asarray(v, np.float32) for k, v in found.items()}
    np.savez_compressed(FOLDER / 'soft_1280_64_clipped.npz', **found)


if __name__ == '__main__':
  main()
