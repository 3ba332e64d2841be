r"""Measure what the loop does to masks of kinds whose true shape is known.

  python -m experiments.evaluate_masks --config=configs/mask.py \
    --workdir=out/masks_proof [--kinds=tiger,lion] [--seeds=0-2] [--perfect] \
    [--matcher=DIR]
  python -m experiments.evaluate_masks --config=configs/mask.py \
    --workdir=out/ablation --ablation [--ablation_steps=120]

Leaves results.json, results.csv, results.png, a sheet of the masks (masks.png)
and a picture and a GLB of every mask. Finished rows are kept: the same command
goes on where it was broken off.
"""

import pathlib

from absl import flags

from maskjax.evaluation import figures
from maskjax.mask import evaluation, settings
from maskjax.matcher import network
from maskjax.training import (
  flags as flags_lib,
  settings as settings_lib,
)

_CONFIG = flags_lib.define_config('configs/mask.py')
_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the results.')
_MATCHER = flags.DEFINE_string('matcher', '', 'Folder; empty: the bundled one.')
_KINDS = flags.DEFINE_list('kinds', [], 'Kinds; empty: 12 (ablation: 3).')
_SEEDS = flags_lib.define('seeds', '0', '0-2 or 0,5.', flags_lib.whole_numbers)
_PERFECT = flags.DEFINE_bool('perfect', False, 'A teacher of the truth, too.')
_ABLATION = flags.DEFINE_bool('ablation', False, 'Run the sweep of the config.')
_STEPS = flags.DEFINE_integer(
  'ablation_steps', 120, 'Steps of each run.', 1, 10**6
)


def main(argv: list[str]) -> None:
  """Measure, print the table, draw the figures."""
  del argv
  config, ablation = _CONFIG.value, _ABLATION.value
  if ablation:
    config.steps = config.distill.horizon = _STEPS.value
  kinds = evaluation.ABLATION_KINDS if ablation else evaluation.KINDS
  rows = evaluation.evaluate(
    settings_lib.read(settings.MaskSettings, config),
    _WORKDIR.value,
    network.load(_MATCHER.value),
    kinds=_KINDS.value or kinds,
    seeds=_SEEDS.value,
    variants=flags_lib.sweep() if ablation else [{}],
    perfect=_PERFECT.value,
  )
  print(evaluation.table(rows))
  folder = pathlib.Path(_WORKDIR.value)
  figures.save_masks(folder / 'results.png', rows)
  evaluation.save_sheet(folder, rows)


if __name__ == '__main__':
  flags_lib.run(main)
