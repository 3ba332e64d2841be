"""Fit landmarks.npz: where the 468 points of the canonical face lie on Anny.

    python third_party/anny/fit_landmarks.py

FaceMesh looks at pictures of twelve plainly painted heads; its points are
cast onto their surfaces, carried to the mean head, and their medians,
mirrored, put onto the nearest skin. Needs maskjax and head.npz.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import scipy.spatial
import trimesh

from maskjax.data.people import head_model
from maskjax.face import landmarks, networks
from maskjax.geometry import camera as camera_lib, canonical, color
from maskjax.render import lights as lights_lib, renderer

OUTPUT = pathlib.Path(__file__).parent / 'landmarks.npz'
HEADS, SIZE, NEIGHBOURS = 12, 512, 80
# The inner lips, which only the jaw tells apart where the mouth is closed.
UPPER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
SEAM = (*UPPER, *LOWER, 78, 308)


def sample_head(rng, index):
  """Draw whole-head weights; every fourth head opens its mouth."""
  shares = rng.dirichlet([1, 1, 1]) if index else np.full(3, 1 / 3)
  shares[0] += 1 - shares.sum()
  male, age = (rng.random(2) * [1, 0.3] + [0, 0.5]) if index else (0.5, 0.5)
  weights = head_model.whole_head(
    dict(zip(head_model.REGIONS, shares)), male=male, age=age
  )
  return weights | ({'arkit/jawOpen': 0.25} if index % 4 == 2 else {})


def paint(vertices):
  """Give a head plain colours that a face detector is used to."""
  colors = np.tile([0.6, 0.38, 0.28], (len(vertices), 1))
  colors[head_model.in_mask('lips') > 0.5] = [0.5, 0.18, 0.17]
  for part in (head_model.LEFT_EYE, head_model.RIGHT_EYE):
    rows = head_model.part_vertices(part)
    away = vertices[rows] - vertices[rows].mean(0)
    away /= np.linalg.norm(away, axis=-1, keepdims=True)
    colors[rows] = np.where(away[:, 2:] > 0.85, [0.1, 0.05, 0.02], 0.8)
  teeth = head_model.UPPER_TEETH, head_model.LOWER_TEETH
  colors[head_model.part_vertices(*teeth)] = 0.7
  colors[head_model.part_vertices(*head_model.LASHES)] = 0.02
  return colors


def photograph(vertices, azimuth):
  """Return the picture (sRGB) of a head and its camera."""
  eyes = head_model.LEFT_EYE, head_model.RIGHT_EYE
  middle = vertices[head_model.part_vertices(*eyes)].mean(0)
  camera = camera_lib.orbit(
    jnp.asarray([azimuth]), jnp.zeros(1), radius=70.0, fovy=26.0,
    target=tuple(middle - [0, 3, 0]),
  )  # fmt: skip
  light = lights_lib.directional([0.3, 0.6, 1.0], (0.55,) * 3, (0.45,) * 3)
  picture = renderer.render(
    jnp.asarray(vertices, jnp.float32),
    jnp.asarray(head_model.load().faces),
    jnp.asarray(paint(vertices), jnp.float32),
    camera,
    light,
    size=SIZE,
    mode='hard',
    background=(0.3, 0.35, 0.4),
  )
  return color.linear_to_srgb(picture.rgb[0]), camera


def cast(points, camera, vertices, faces, grazing):
  """Return where rays through image points first hit a surface; nan if not.

  Hits at more than about 75 degrees count only if `grazing`.
  """
  pose, inner = (
    np.asarray(camera.cam2world[0]),
    np.asarray(camera.intrinsics[0]),
  )
  plane = np.c_[(points - inner[:2, 2]) / inner[[0, 1], [0, 1]], np.ones(468)]
  rays, origin = plane @ pose[:3, :3].T, pose[:3, 3]
  a, b, c = (vertices[faces[:, k]] for k in range(3))
  normals = np.cross(b - a, c - a)
  hits = np.full((468, 3), np.nan)
  for row, ray in enumerate(rays):
    p = np.cross(ray, c - a)
    volume = np.sum((b - a) * p, -1)
    scale = 1 / np.where(np.abs(volume) > 1e-12, volume, np.inf)
    offset = origin - a
    q = np.cross(offset, b - a)
    u, v = np.sum(offset * p, -1) * scale, q @ ray * scale
    far = np.sum(q * (c - a), -1) * scale
    inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (far > 0)
    if inside.any():
      first = np.flatnonzero(inside)[np.argmin(far[inside])]
      normal = normals[first] / np.linalg.norm(normals[first])
      if grazing or abs(normal @ ray) > 0.25 * np.linalg.norm(ray):
        hits[row] = origin + far[first] * ray
  return hits


def nearest_on(points, vertices, faces, barred=None):
  """Return (face, weights) of the nearest surface point of each point.

  Args:
    points: [N, 3].
    vertices: of the surface.
    faces: of the surface.
    barred: bool [N, F], the faces that a point may not lie on, or None.
  """
  middles = vertices[faces].mean(1)
  _, near = scipy.spatial.cKDTree(middles).query(points, k=NEIGHBOURS)
  corners = vertices[faces][near.ravel()]
  found = trimesh.triangles.closest_point(
    corners, np.repeat(points, NEIGHBOURS, 0)
  ).reshape(len(points), NEIGHBOURS, 3)
  gaps = np.linalg.norm(found - points[:, None], axis=-1)
  rows = np.arange(len(points))
  if barred is not None:
    gaps = gaps + 100.0 * barred[rows[:, None], near]
  best = np.argmin(gaps, 1)
  face = near[rows, best]
  weights = trimesh.triangles.points_to_barycentric(
    vertices[faces[face]], found[rows, best]
  )
  return face, weights


def main():
  """Parse the command line and write landmarks.npz."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--output', default=OUTPUT, type=pathlib.Path)
  output = parser.parse_args().output
  model, nets = head_model.load(), networks.load()
  seen_faces = model.faces[~np.isin(model.parts, head_model.LASHES)]
  skin = np.flatnonzero(model.parts == head_model.SKIN)
  skin_faces, mean = model.faces[skin], head_model.rest()
  find = jax.jit(lambda image: landmarks.find(nets, image, refinements=1))
  rng, places = np.random.default_rng(0), np.full((HEADS, 468, 3), np.nan)
  for index in range(HEADS):
    vertices = head_model.morph(sample_head(rng, index))
    image, camera = photograph(vertices, (0.0, 0.0, -20.0, 20.0)[index % 4])
    face = find(image)
    if not face.found[0]:
      continue
    points = np.asarray(face.points[0, :, :2], np.float64)
    hits = cast(points, camera, vertices, seen_faces, index % 4 < 2)
    rows = np.flatnonzero(np.isfinite(hits[:, 0]))
    if index % 4 == 2:
      rows = np.setdiff1d(rows, SEAM)
    chosen, weights = nearest_on(hits[rows], vertices, skin_faces)
    corners = mean[skin_faces[chosen]]
    places[index, rows] = np.einsum('nk,nkd->nd', weights, corners)
  middle = np.nanmedian(places, 0)
  outline = canonical.load().vertices.astype(np.float64)
  _, twin = scipy.spatial.cKDTree(outline).query(outline * [-1, 1, 1])
  middle = 0.5 * (middle + middle[twin] * [-1, 1, 1])
  jaw = head_model.morph({'arkit/jawOpen': 0.25}) - head_model.morph({})
  falls = np.linalg.norm(jaw, axis=-1)[skin_faces].mean(1)
  barred = np.zeros((468, len(skin_faces)), bool)
  barred[list(UPPER)], barred[list(LOWER)] = falls > 0.25, falls < 0.35
  chosen, weights = nearest_on(middle, mean, skin_faces, barred)
  np.savez(
    output,
    triangles=skin[chosen].astype(np.int32),
    weights=weights.astype(np.float32),
  )
  print(f'{np.isfinite(places[:, 0, 0]).sum()} of {HEADS} heads were found')


if __name__ == '__main__':
  main()
