"""Small scenes for the tests of the rasterizer's parts.

Points are given in pixels from the image's centre and a depth, with W = 1: an
orthographic camera.
"""

import jax.numpy as jnp
import numpy as np

from maskjax.render.mesh import windows


def grid(size=8, views=1, window=4, chunk=8):
  """Return sizes for pictures of a few pixels."""
  return windows.Grid(views=views, size=size, window=window, chunk=chunk)


def centres(size):
  """Return x and y of all pixels' centres, pixels from the image's centre."""
  axis = np.arange(size) - (size - 1) / 2
  return np.stack(np.meshgrid(axis, axis), -1)


def rows(points, attributes=None):
  """Return numbers of faces, f[N, 3 * (4 + C)], of points f[N, 3, 3]."""
  points = np.asarray(points, float)
  ones = np.ones((*points.shape[:2], 1))
  numbers = [points[..., :2], ones, points[..., 2:]]
  if attributes is not None:
    numbers.append(np.asarray(attributes, float))
  return jnp.asarray(np.concatenate(numbers, -1).reshape(len(points), -1))


def corners(points):
  """Return homogeneous corners, f[4, 3, N], of points f[N, 3, 3]."""
  return rows(points).reshape(len(points), 3, 4).transpose(2, 1, 0)


def edge_functions(pixels, triangle):
  """Return the areas that pixels span with a triangle's edges, f[..., 3]."""
  areas = []
  for k in (1, 2, 0):
    a, b = triangle[k][:2] - pixels, triangle[(k + 1) % 3][:2] - pixels
    areas.append(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
  return np.stack(areas, -1)
