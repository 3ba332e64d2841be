"""Coverage-guided fuzzing of what reads files of others, with atheris.

  pip install atheris
  python -m tests.fuzz.borders ply -max_total_time=1200

The first word is a border of `BORDERS`, all others are libFuzzer's. Whatever
bytes it is given, a reader returns or raises ValueError, in ten seconds and
two gigabytes; anything else ends the run, and leaves the bytes in a file,
crash-* or timeout-*. Begins with the files of the tables in tests/hostile.
"""

from collections.abc import Callable, Iterator
import copy
import json
import pathlib
import random
import struct
import sys
import tempfile
import types
from typing import Any

from absl import logging
import atheris

_ROOMS = ['maskjax.geometry', 'maskjax.weights', 'pickletools']

with atheris.instrument_imports(include=_ROOMS):
  import numpy as np

  from maskjax.geometry import gltf_scene, obj, ply, scene_part
  from maskjax.weights import archives, persistence, pickles, tensor_files

# How a reader is told from what it reads: suffix, function, table of seeds.
BORDERS: dict[str, tuple[str, Callable[[pathlib.Path], object], str]] = {
  'pickle': ('.pkl', persistence.read, 'STREAMS'),
  'archive': ('.pt', persistence.read, 'ARCHIVES'),
  'npz': ('.npz', archives.read_npz, 'NPZ'),
  'safetensors': (
    '.safetensors',
    lambda path: dict(tensor_files.read(path)),
    'SAFETENSORS',
  ),
  'obj': ('.obj', obj.read, 'OBJ'),
  'ply': ('.ply', ply.read, 'PLY'),
  'gltf': ('.gltf', gltf_scene.read, 'GLTF'),
  'glb': ('.glb', gltf_scene.read, 'GLTF'),
}
_MESHES = ('obj', 'ply', 'gltf', 'glb')
# What takes the place of a part of a JSON document.
_VALUES: tuple[Any, ...] = (
  *(0, 1, -1, 2, 3, 5, 0.5, 1e308, 2**31, 2**63, 2**70, float('nan'), None),
  *(True, '', 'a.bin', 'VEC2', 'SCALAR', 'MAT4', [], [0], [[]], {}, {'a': 1}),
  *(5120, 5121, 5122, 5123, 5125, 5126),
)
# Opcodes of a pickle: a run of instrumented code takes long.
_OPCODES = 50_000
_LIMITS = ('-timeout=10', '-rss_limit_mb=3000', '-max_len=20000')
# Larger seeds only make every round slower.
_LARGEST_SEED = 20_000


def _linear(srgb: np.ndarray) -> np.ndarray:
  """Stand for `scene_part.linear`, which is compiled for every new shape."""
  return np.asarray(srgb, np.float32) ** 2.2


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
  """Yield all containers of a document with each of their keys."""
  if isinstance(value, dict | list):
    for key in list(value if isinstance(value, dict) else range(len(value))):
      yield value, key
      yield from _places(value[key])


def _other_json(data: bytes, rng: random.Random) -> bytes:
  """Return a JSON document with a few parts that are others."""
  document = json.loads(data)
  for _ in range(rng.randint(1, 4)):
    places = list(_places(document))
    if not places:
      break
    container, key = rng.choice(places)
    others, other = rng.choice(places)
    container[key] = copy.deepcopy(
      rng.choice(_VALUES) if rng.random() < 0.7 else others[other]
    )
  return json.dumps(document).encode()


def _mutate(border: str) -> Callable[[bytes, int, int], bytes]:
  """Return how files of a border are changed: those of JSON by its parts."""

  def change(data: bytes, size: int, seed: int) -> bytes:
    rng = random.Random(seed)
    try:
      if rng.random() < 0.1:
        return atheris.Mutate(data, size)
      if border == 'gltf':
        return _other_json(data, rng)[:size]
      (length,) = struct.unpack_from('<I', data, 12)
      text = _other_json(data[20 : 20 + length], rng)
      text += b' ' * (-len(text) % 4)
      rest = struct.pack('<I', len(text)) + b'JSON' + text + data[20 + length :]
      return (data[:8] + struct.pack('<I', 12 + len(rest)) + rest)[:size]
    except (ValueError, RecursionError, struct.error):
      return atheris.Mutate(data, size)

  return change


def _module(border: str) -> types.ModuleType:
  """Return the tests that have seeds for a border."""
  if border in _MESHES:
    from tests.hostile import meshes_test

    return meshes_test
  from tests.hostile import weights_test

  return weights_test


def _valid(border: str) -> Iterator[bytes]:
  """Yield files that are read, of which others are made."""
  if border == 'pickle':
    from tests.weights import persistence_test

    yield persistence_test.snapshot()
    yield persistence_test.stream(
      {'a': persistence_test.tensor(
        persistence_test.pid('0', 6), persistence_test.WEIGHT)},
      {'0': persistence_test.WEIGHT.reshape(-1)},
    )  # fmt: skip
  if border in ('obj', 'ply', 'glb'):
    from maskjax.geometry import mesh, mesh_io

    corners = np.float32([[0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 1]])
    square = mesh.Mesh(
      corners, np.int32([[0, 1, 2], [0, 2, 3]]), np.full((4, 3), 0.5, 'f4')
    )
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / f'a.{border}'
      mesh_io.save_mesh(path, square)
      yield path.read_bytes()


def write_seeds(border: str, folder: pathlib.Path) -> None:
  """Write the files that fuzzing begins with.

  Args:
    border: a key of `BORDERS`.
    folder: where to.
  """
  suffix, _, table = BORDERS[border]
  found = list(_valid(border))
  for make, _ in getattr(_module(border), table).values():
    with tempfile.TemporaryDirectory() as place:
      path = make(pathlib.Path(place))
      if path.suffix == suffix and path.stat().st_size <= _LARGEST_SEED:
        found.append(path.read_bytes())
  for number, data in enumerate(found):
    (folder / str(number)).write_bytes(data)


def main() -> None:
  """Fuzz one border until libFuzzer ends."""
  border, *options = sys.argv[1:]
  suffix, read, _ = BORDERS[border]
  scene_part.linear = _linear
  corpus = pathlib.Path(tempfile.mkdtemp(prefix=f'fuzz-{border}-'))
  write_seeds(border, corpus)
  place = pathlib.Path(tempfile.mkdtemp(prefix='fuzz-file-')) / f'a{suffix}'
  place.with_name('a.bin').write_bytes(bytes(48))
  pickles._MOST_OPCODES = _OPCODES

  def one(data: bytes) -> None:
    place.write_bytes(data)
    try:
      with np.errstate(all='ignore'):
        read(place)
    except ValueError as error:
      if '\n' in str(error) and border not in _MESHES:
        raise AssertionError(f'several lines: {error}') from error

  logging.set_verbosity(logging.ERROR)  # of pictures that are missing
  mutator = _mutate(border) if border in ('gltf', 'glb') else None
  atheris.Setup(
    [sys.argv[0], *_LIMITS, *options, str(corpus)],
    one,
    **({} if mutator is None else {'custom_mutator': mutator}),
  )
  atheris.Fuzz()


if __name__ == '__main__':
  main()
