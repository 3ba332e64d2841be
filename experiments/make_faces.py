r"""Render people with known cameras: images, cameras, depth, labels.

  python -m experiments.make_faces --config=configs/faces.py \
    --workdir=out/faces [--workers=2]

Shards that exist are kept, so the command can be stopped and given again. The
manifest, with hash and licence of every source, is written at the end.
"""

import functools
import multiprocessing
import os
import pathlib
from typing import Any

from absl import flags

from maskjax.data import face_images
from maskjax.training import files, progress
from maskjax.training import flags as flags_lib

_CONFIG = flags_lib.define_config('configs/faces.py')
_WORKDIR = flags.DEFINE_string('workdir', 'out/faces', 'Folder of the shards.')
_WORKERS = flags.DEFINE_integer('workers', 0, 'Processes; 0: one per core.')


def _build(folder: pathlib.Path, options: dict[str, Any], index: int) -> int:
  path = folder / f'faces-{index:05d}.npz'
  face_images.build_shard(path, index, **options)
  return index


def main(argv: list[str]) -> None:
  """Build the missing shards, then the manifest."""
  del argv
  config = _CONFIG.value
  folder = pathlib.Path(_WORKDIR.value)
  recipe = config.to_dict()
  options = dict(recipe, people_count=recipe['people'])
  del options['people'], options['shards']
  missing = [
    index
    for index in range(config.shards)
    if not (folder / f'faces-{index:05d}.npz').exists()
  ]
  build = functools.partial(_build, folder, options)
  workers = _WORKERS.value or os.cpu_count() or 1
  context = multiprocessing.get_context('spawn')
  with (
    progress.bar(
      config.shards, start=config.shards - len(missing), name='shards'
    ) as report,
    context.Pool(min(workers, max(len(missing), 1))) as pool,
  ):
    done = config.shards - len(missing)
    for _ in pool.imap_unordered(build, missing):
      done += 1
      report(done, {})
  files.write_json(
    folder / 'manifest.json', face_images.manifest(folder, recipe)
  )


if __name__ == '__main__':
  flags_lib.run(main)
