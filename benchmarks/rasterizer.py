r"""Milliseconds of the rasterizer over faces, pixels and views.

  python -m benchmarks.rasterizer [--against=pytorch3d|deodr|drtk] [--small] \
    [--interpreter=/venvs/deodr/bin/python] [--workdir=out/rasterizer]

A bumpy sphere that covers 40 % of the image is drawn softly (sigma = gamma =
1e-4) and hard; forward, and with gradients by vertices and colours. The peer,
if asked for and installed here or for another interpreter (PyTorch3D and DRTK
from source; `pip install deodr`), takes turns with ours in the same run. Prints
a table and leaves rasterizer.json and rasterizer.png in the workdir. Several
views are shared among the cores, and so is the work of a single soft one.

Peers do not all draw the same: PyTorch3D keeps 8 faces a pixel and has no
gradient by shape in its hard mode; DEODR draws one view, colours linear on the
screen, and leaves back faces out, which beside it ours does too (a closed shape
looks the same without).
"""

from collections.abc import Callable
import os
import pathlib
import statistics
import time
from typing import Any, NamedTuple

from absl import flags
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from matplotlib import figure as figure_lib
from matplotlib.backends import backend_agg
import numpy as np
import trimesh

from benchmarks import rasterizer_peers
from maskjax.render.mesh import rasterizer
from maskjax.training import files, flags as flags_lib, parallel

_AGAINST = flags.DEFINE_enum(
  'against', None, sorted(rasterizer_peers.MAKERS), 'The peer.'
)
_INTERPRETER = flags.DEFINE_string(
  'interpreter', '', 'Python that runs the peer; empty: this one.'
)
_SMALL = flags.DEFINE_bool('small', False, 'Only the smallest cases.')
_ROUNDS = flags.DEFINE_integer('rounds', 7, 'Timed calls of each part.', 1)
_WORKDIR = flags_lib.define_folder(
  'workdir', 'out/rasterizer', 'For the results.'
)

# Faces, pixels on a side, views.
_CASES = (
  (1280, 64, 1),
  (1280, 64, 4),
  (1280, 256, 1),
  (5120, 256, 1),
  (5120, 256, 4),
  (20480, 512, 1),
)
_MODES = ('soft', 'hard')
_PASSES = ('forward', 'forward+backward')
_AXIS = 'devices'


class Scene(NamedTuple):
  """What is drawn: NumPy, float32, OpenCV camera frame.

  Attributes:
    vertices: [B, V, 3].
    faces: [F, 3].
    colors: [B, V, 3].
    intrinsics: [3, 3], of all views.
    weights: [B, H, W, 4], of the loss.
    size: pixels on a side.
  """

  vertices: np.ndarray
  faces: np.ndarray
  colors: np.ndarray
  intrinsics: np.ndarray
  weights: np.ndarray
  size: int


def make_scene(faces: int, size: int, views: int) -> Scene:
  """Make a bumpy sphere of 20 * 4^n faces, seen from all sides."""
  level = round(np.log(faces / 20) / np.log(4))
  sphere = trimesh.creation.icosphere(subdivisions=level)
  points = np.asarray(sphere.vertices)
  waves = np.sin(3 * points[:, 0] + 1) * np.cos(4 * points[:, 1])
  bumpy = points * (1 + 0.1 * waves * np.cos(2 * points[:, 2]))[:, None]
  angles = 0.3 + 0.7 * np.arange(views)
  cos, sin, zero = np.cos(angles), np.sin(angles), np.zeros(views)
  turns = [[cos, zero, sin], [zero, zero + 1, zero], [-sin, zero, cos]]
  vertices = np.einsum('ijb,vj->bvi', np.array(turns), bumpy)
  vertices += np.array([0.013, 0.007, 3.0])
  colors = 0.5 + 0.5 * np.stack(
    [points[:, 0], points[:, 1], np.sin(5 * points[:, 2])], 1
  )
  rng = np.random.default_rng(0)
  return Scene(
    vertices=vertices.astype(np.float32),
    faces=np.asarray(sphere.faces, np.int32),
    colors=np.repeat(colors[None], views, 0).astype(np.float32),
    intrinsics=np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]], np.float32),
    weights=rng.normal(size=(views, size, size, 4)).astype(np.float32),
    size=size,
  )


def _ours(
  scene: Scene, mode: str, *, cull: bool
) -> list[tuple[Callable[[], Any], float, float]]:
  """Return the compiled passes, seconds to compile them, and temporaries.

  Several views are shared among the devices, which on a CPU are its cores; so
  is the work of a single one in soft mode.
  """
  devices = parallel.usable_devices(len(scene.vertices))
  together = (
    mode == 'soft' and len(scene.vertices) == 1 < jax.local_device_count()
  )

  def forward(
    vertices: Float[Array, 'b v 3'], colors: Float[Array, 'b v 3']
  ) -> Float[Array, 'b h w 4']:
    views = len(vertices)
    intrinsics = np.broadcast_to(scene.intrinsics, (views, 3, 3))
    images = rasterizer.rasterize(
      vertices,
      scene.faces,
      colors,
      jnp.asarray(intrinsics),
      size=scene.size,
      mode=mode,
      cull_backfaces=cull,
      axis_name=_AXIS if together else None,
    )
    alpha = images.alpha[..., None]
    return jnp.concatenate([images.attributes * alpha + 1 - alpha, alpha], -1)

  def backward(
    vertices: Float[Array, 'b v 3'],
    colors: Float[Array, 'b v 3'],
    weights: Float[Array, 'b h w 4'],
  ) -> Any:
    def loss(*inputs: Float[Array, 'b v 3']) -> Float[Array, '']:
      return jnp.sum(forward(*inputs) * weights)

    return jax.value_and_grad(loss, (0, 1))(vertices, colors)

  inputs = scene.vertices, scene.colors
  results: list[tuple[Callable[[], Any], float, float]] = []
  for function, more in ((forward, ()), (backward, (scene.weights,))):
    arguments = tuple(map(jnp.asarray, (*inputs, *more)))
    if together:
      arguments = parallel.replicate(arguments)
      mesh = jax.sharding.Mesh(np.array(jax.local_devices()), (_AXIS,))
      same = jax.sharding.PartitionSpec()
      shared = jax.shard_map(function, mesh=mesh, in_specs=same, out_specs=same)
      mapped = jax.jit(shared)
    elif len(devices) > 1:
      arguments = parallel.shard_batch(arguments, devices=devices)
      mapped = jax.pmap(function, devices=devices)
    else:
      mapped = jax.jit(function)
    began = time.perf_counter()
    compiled = mapped.lower(*arguments).compile()
    seconds = time.perf_counter() - began
    memory = compiled.memory_analysis()
    megabytes = memory.temp_size_in_bytes / 2**20 if memory else float('nan')

    def call(compiled: Any = compiled, arguments: Any = arguments) -> Any:
      return jax.block_until_ready(compiled(*arguments))

    results.append((call, seconds, megabytes))
  return results


def _median_ms(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
  """Time functions in turn, or ask them, and return the medians."""
  times: list[list[float]] = [[] for _ in calls]
  for _ in range(rounds + 1):
    for call, passed in zip(calls, times):
      began = time.perf_counter()
      taken = call()
      if not isinstance(taken, float):
        taken = 1e3 * (time.perf_counter() - began)
      passed.append(taken)
  # The first round warms up.
  return [statistics.median(passed[1:]) for passed in times]


def measure(
  faces: int,
  size: int,
  views: int,
  mode: str,
  peer: str | None,
  rounds: int,
  interpreter: str = '',
) -> list[dict[str, Any]]:
  """Measure one case.

  Args:
    faces: number of faces of the sphere, 20 * 4^n.
    size: pixels on a side of the images.
    views: number of images.
    mode: 'soft' or 'hard'.
    peer: name in `rasterizer_peers.MAKERS`, or None.
    rounds: how many times each pass is timed.
    interpreter: the Python that runs the peer, or empty for this one.

  Returns:
    A row for each pass: times in ms, seconds to compile, MiB of temporaries.

  Raises:
    ValueError: the peer is not installed.
  """
  scene = make_scene(faces, size, views)
  ours = _ours(scene, mode, cull=mode == 'hard' and peer == 'deodr')
  theirs = None
  if peer and interpreter:
    theirs = rasterizer_peers.remote(interpreter, peer, scene, mode)
  elif peer:
    try:
      theirs = rasterizer_peers.MAKERS[peer](scene, mode)
    except ImportError as error:
      raise ValueError(
        f'{peer} is not installed here ({error}); install it, or give '
        '--interpreter=PATH of a Python that has it'
      ) from error
  rows = []
  for i, (call, seconds, megabytes) in enumerate(ours):
    calls = [call, theirs[i]] if theirs else [call]
    times = _median_ms(calls, rounds)
    rows.append(
      {
        'mode': mode,
        'faces': faces,
        'size': size,
        'views': views,
        'pass': _PASSES[i],
        'ms': times[0],
        'compile_s': seconds,
        'temporaries_mib': megabytes,
        'peer': peer if theirs else None,
        'peer_ms': times[1] if theirs else None,
      }
    )
  return rows


def _line(row: dict[str, Any]) -> str:
  """Format a row of the table."""
  case = f'{row["faces"]:>6} {row["size"]:>5} {row["views"]:>5}'
  text = f'{row["mode"]:5}{case}  {row["pass"]:17}{row["ms"]:9.2f}'
  text += f'{row["compile_s"]:9.1f}{row["temporaries_mib"]:8.1f}'
  if row['peer_ms'] is None:
    return text
  ratio = row['peer_ms'] / row['ms']
  return f'{text}  {row["peer"]} {row["peer_ms"]:.2f} ms: {ratio:.2f} x ours'


def draw(path: files.PathLike, rows: list[dict[str, Any]]) -> None:
  """Draw milliseconds over faces x pixels x views, both logarithmic."""
  figure = figure_lib.Figure(figsize=(9, 4.5), dpi=120, layout='constrained')
  backend_agg.FigureCanvasAgg(figure)
  panels = figure.subplots(1, 2, sharex=True, sharey=True)
  for panel, mode in zip(panels, _MODES):
    for name, tint in zip(_PASSES, ('#1a7f5a', '#c2452d')):
      chosen = [r for r in rows if (r['mode'], r['pass']) == (mode, name)]
      chosen.sort(key=lambda r: r['faces'] * r['size'] ** 2 * r['views'])
      for key, style in (('ms', 'o-'), ('peer_ms', 's--')):
        known = [r for r in chosen if r[key] is not None]
        if not known:
          continue
        work = [r['faces'] * r['size'] ** 2 * r['views'] for r in known]
        label = name if key == 'ms' else f'{known[0]["peer"]}, {name}'
        values = [r[key] for r in known]
        panel.loglog(work, values, style, color=tint, label=label)
    panel.set_title(mode, loc='left', fontsize=11)
    panel.set_xlabel('faces x pixels x views')
    panel.grid(color='#e4e6e8')
    panel.spines[['top', 'right']].set_visible(False)
    panel.legend(fontsize=8, frameon=False)
  panels[0].set_ylabel('ms')
  with files.replacing(pathlib.Path(path)) as temporary:
    figure.savefig(temporary, metadata={'Software': None})


def main(argv: list[str]) -> None:
  """Measure, print, write and draw."""
  del argv
  # Each core of a CPU is a device, for views to be shared among.
  parallel.set_xla_flags(host_devices=os.cpu_count())
  device = f'{jax.device_count()} x {jax.devices()[0].device_kind}'
  print(f'{device}, medians of {_ROUNDS.value} calls')
  print('mode  faces  size views  pass                    ms compile s   MiB')
  rows: list[dict[str, Any]] = []
  for mode in _MODES:
    for case in _CASES[:2] if _SMALL.value else _CASES:
      new = measure(
        *case, mode, _AGAINST.value, _ROUNDS.value, _INTERPRETER.value
      )
      print('\n'.join(map(_line, new)), flush=True)
      rows += new
  folder = pathlib.Path(_WORKDIR.value)
  files.write_json(
    folder / 'rasterizer.json',
    {'device': device, 'jax': jax.__version__, 'rows': rows},
  )
  draw(folder / 'rasterizer.png', rows)


if __name__ == '__main__':
  flags_lib.run(main)
