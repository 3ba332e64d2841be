"""Other rasterizers on the scene of `benchmarks.rasterizer`, for the CPU.

Each maker takes a scene and a mode and returns two functions without
arguments, which draw the RGBA images [B, H, W, 4] in NumPy and return the
gradients of sum(images * weights) by vertices and colours; or None where it
has no such mode. Packages are imported when a peer is asked for, here or by
another interpreter (`remote`), which runs this file.
"""

from collections.abc import Callable, Sequence
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types
from typing import Any

import numpy as np

# Draw the images; return the gradients by vertices and colours.
_Passes = tuple[Callable[[], Any], ...]


def _pytorch3d(scene: Any, mode: str) -> _Passes:
  """Set PyTorch3D up: 8 faces a pixel softly, 1 hard (no shape gradient)."""
  from pytorch3d import ops, structures
  from pytorch3d.renderer import blending
  from pytorch3d.renderer.mesh import rasterize_meshes, rasterizer
  import torch

  soft = mode == 'soft'
  start = [torch.tensor(x) for x in (scene.vertices, scene.colors)]
  faces = torch.tensor(scene.faces).long()
  weights = torch.tensor(scene.weights)
  views, count, _ = scene.vertices.shape
  packed = torch.cat([faces + view * count for view in range(views)])
  params = blending.BlendParams(
    sigma=1e-4, gamma=1e-4, background_color=(1.0, 1.0, 1.0)
  )
  fx, fy = 2 * scene.intrinsics[0, 0], 2 * scene.intrinsics[1, 1]

  def render(vertices: Any, colors: Any) -> Any:
    x, y, z = vertices.unbind(-1)
    # Its x points to the left, and y up.
    screen = torch.stack([-fx * x / z, -fy * y / z, z], -1)
    found = rasterize_meshes.rasterize_meshes(
      structures.Meshes(verts=list(screen), faces=[faces] * views),
      image_size=scene.size,
      blur_radius=float(np.log(1e4 - 1) * 1e-4) if soft else 0.0,
      faces_per_pixel=8 if soft else 1,
      bin_size=0,
      perspective_correct=True,
      clip_barycentric_coords=soft,
    )
    fragments = rasterizer.Fragments(*found)
    seen = ops.interpolate_face_attributes(
      found[0], found[2], colors.reshape(-1, 3)[packed]
    )
    if soft:
      return blending.softmax_rgb_blend(seen, fragments, params, 1.0, 100.0)
    return blending.hard_rgb_blend(seen, fragments, params)

  def forward() -> np.ndarray:
    with torch.no_grad():
      return render(*start).numpy()

  def backward() -> Sequence[np.ndarray]:
    inputs = [x.clone().requires_grad_() for x in start]
    (render(*inputs) * weights).sum().backward()
    return [np.asarray(x.grad) for x in inputs]

  return forward, backward


def _edge_flags(faces: np.ndarray, front: np.ndarray) -> np.ndarray:
  """Mark the silhouette edges of front faces: from corner i to i + 1."""
  pairs = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
  _, inverse = np.unique(np.sort(pairs, 1), axis=0, return_inverse=True)
  inverse = inverse.reshape(-1)
  seen = np.bincount(inverse, weights=np.repeat(front, 3).astype(float))
  return (seen[inverse] == 1).reshape(-1, 3) & front[:, None]


def _deodr(scene: Any, mode: str) -> _Passes | None:
  """Set DEODR up: hard, one view; back faces culled, colours linear in 2D."""
  from deodr import differentiable_renderer

  if mode != 'hard' or len(scene.vertices) > 1:
    return None
  vertices = scene.vertices[0].astype(np.float64)
  z = vertices[:, 2]
  focal = scene.size * np.diagonal(scene.intrinsics)[:2]
  places = vertices[:, :2] / z[:, None] * focal + scene.size / 2
  a, b, c = (places[scene.faces[:, i]] for i in range(3))
  (ax, ay), (bx, by) = (b - a).T, (c - a).T
  front = ax * by - ay * bx < 0
  faces = scene.faces.astype(np.uint32)
  off = np.zeros(len(faces), bool)
  picture = differentiable_renderer.Scene2D(
    faces=faces,
    faces_uv=faces,
    ij=places,
    depths=z,
    textured=off,
    uv=np.zeros((len(z), 2)),
    shade=np.ones(len(z)),
    colors=scene.colors[0].astype(np.float64),
    shaded=off,
    edgeflags=_edge_flags(scene.faces, front),
    height=scene.size,
    width=scene.size,
    nb_colors=3,
    texture=np.zeros((0, 0, 3)),
    background_color=np.ones(3),
    clockwise=False,
    backface_culling=True,
    integer_pixel_centers=False,
  )
  weights = np.ascontiguousarray(scene.weights[0, ..., :3], np.float64)

  def forward() -> np.ndarray:
    image, depth = picture.render(1.0)
    alpha = np.isfinite(depth)[..., None]
    return np.concatenate([image, alpha], -1)[None]

  def backward() -> Sequence[np.ndarray]:
    picture.clear_gradients()
    picture.render(1.0)
    picture.render_backward(weights)
    by_xy = picture.ij_b * focal / z[:, None]
    by_z = -np.sum(by_xy * vertices[:, :2], 1, keepdims=True) / z[:, None]
    return np.concatenate([by_xy, by_z], 1)[None], picture.colors_b[None]

  return forward, backward


def _drtk(scene: Any, mode: str) -> _Passes | None:
  """Set DRTK up: hard, with gradients at edges; its kernels for the CPU."""
  import drtk
  import torch

  if mode != 'hard':
    return None
  start = [torch.tensor(x) for x in (scene.vertices, scene.colors)]
  faces = torch.tensor(scene.faces).int()
  weights = torch.tensor(scene.weights).permute(0, 3, 1, 2)
  focal = [scene.size * float(scene.intrinsics[i, i]) for i in range(2)]
  middle, size = scene.size / 2 - 0.5, scene.size

  def render(vertices: Any, colors: Any) -> Any:
    x, y, z = vertices.unbind(-1)
    places = torch.stack(
      [focal[0] * x / z + middle, focal[1] * y / z + middle, z], -1
    )
    seen = drtk.rasterize(places, faces, size, size)
    _, shares = drtk.render(places, faces, seen)
    channels = torch.cat([colors, torch.ones_like(colors[..., :1])], -1)
    image = drtk.interpolate(channels, faces, seen, shares)
    paper = torch.tensor([1.0, 1.0, 1.0, 0.0])[None, :, None, None]
    image = torch.where((seen >= 0)[:, None], image, paper)
    return drtk.edge_grad_estimator(places, faces, shares, image, seen)

  def forward() -> np.ndarray:
    with torch.no_grad():
      return render(*start).permute(0, 2, 3, 1).numpy()

  def backward() -> Sequence[np.ndarray]:
    inputs = [x.clone().requires_grad_() for x in start]
    (render(*inputs) * weights).sum().backward()
    return [np.asarray(x.grad) for x in inputs]

  return forward, backward


MAKERS = {'pytorch3d': _pytorch3d, 'deodr': _deodr, 'drtk': _drtk}


def remote(
  interpreter: str, peer: str, scene: Any, mode: str
) -> tuple[Callable[[], float], ...] | None:
  """Start a peer in another interpreter, which waits for its turns.

  Args:
    interpreter: path of a Python that has the peer (and NumPy).
    peer: name in `MAKERS`.
    scene: `rasterizer.Scene`.
    mode: 'soft' or 'hard'.

  Returns:
    Functions that run a pass there and return its milliseconds; or None.

  Raises:
    ValueError: the peer does not start there.
  """
  folder = tempfile.TemporaryDirectory()
  path = pathlib.Path(folder.name) / 'scene.npz'
  np.savez(path, **scene._asdict())
  process = subprocess.Popen(
    [interpreter, os.path.abspath(__file__), peer, mode, str(path)],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdin is not None and process.stdout is not None
  sender, receiver = process.stdin, process.stdout
  answer = receiver.readline().strip()
  folder.cleanup()
  if answer == 'none':
    return None
  if answer != 'ready':
    raise ValueError(f'{peer} does not run in {interpreter}; see above')

  def turn(number: int) -> float:
    sender.write(f'{number}\n')
    sender.flush()
    return float(receiver.readline())

  return lambda: turn(0), lambda: turn(1)


def _serve(peer: str, mode: str, path: str) -> None:
  """Run passes by number, as they are asked for, until there is no more."""
  with np.load(path) as file:
    scene = types.SimpleNamespace(**{k: file[k] for k in file})
  scene.size = int(scene.size)
  passes = MAKERS[peer](scene, mode)
  if passes is None:
    print('none', flush=True)
    return
  print('ready', flush=True)
  for line in sys.stdin:
    began = time.perf_counter()
    passes[int(line)]()
    print(1e3 * (time.perf_counter() - began), flush=True)


if __name__ == '__main__':
  _serve(*sys.argv[1:])
