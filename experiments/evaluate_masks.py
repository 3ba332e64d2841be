r"""Measure what the loop does to masks of kinds whose true shape is known.

  python -m experiments.evaluate_masks --config=configs/mask.py \
    --workdir=out/masks_proof [--kinds=tiger,lion] [--matcher=DIR]
  python -m experiments.evaluate_masks --config=configs/mask.py \
    --workdir=out/ablation --ablation [--ablation_steps=120]

Leaves results.json, results.csv, results.png and a picture of every mask in
the workdir. Finished rows are kept: the same command goes on where it was
broken off.
"""

import pathlib
from typing import Any

from absl import flags

from maskjax.evaluation import figures
from maskjax.mask import evaluation as mask_evaluation, settings
from maskjax.matcher import network
from maskjax.training import flags as flags_lib, settings as settings_lib

_CONFIG = flags_lib.define_config('configs/mask.py')
_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the results.')
_MATCHER = flags.DEFINE_string('matcher', '', 'Folder; empty: the bundled one.')
_KINDS = flags.DEFINE_list('kinds', [], 'Kinds; empty: 12 (ablation: 3).')
_ABLATION = flags.DEFINE_bool('ablation', False, 'Run the sweep of the config.')
_STEPS = flags.DEFINE_integer(
  'ablation_steps', 120, 'Steps of each run.', 1, 10**6
)


def main(argv: list[str]) -> None:
  """Measure, print the table, draw the figure."""
  del argv
  config, ablation = _CONFIG.value, _ABLATION.value
  variants: list[dict[str, Any]] = [{}]
  kinds: tuple[str, ...] = mask_evaluation.KINDS
  draw = figures.save_pairs
  if ablation:
    config.steps = config.distill.horizon = _STEPS.value
    variants = flags_lib.sweep()
    kinds, draw = mask_evaluation.ABLATION_KINDS, figures.save_ablation
  rows = mask_evaluation.evaluate(
    settings_lib.read(settings.MaskSettings, config),
    _WORKDIR.value,
    network.load(_MATCHER.value),
    kinds=_KINDS.value or kinds,
    variants=variants,
  )
  print(mask_evaluation.table(rows))
  path = pathlib.Path(_WORKDIR.value) / 'results.png'
  draw(path, rows, fall_percent=mask_evaluation.FALL_PERCENT)


if __name__ == '__main__':
  flags_lib.run(main)
