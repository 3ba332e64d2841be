r"""Train the source domain, a small EG3D of people; leaves a model folder.

  python -m experiments.train_source --config=configs/source.py \
    --workdir=out/source [--config.resume=true]

The workdir holds the averaged generator (model/), sheets of known and new
people beside their depth (samples/), the curves (metrics.jsonl) and, at the
end, a walk from person to person (walk.mp4).
"""

from absl import flags

from maskjax.people_gan import training as people_training
from maskjax.training import flags as flags_lib, parallel

_CONFIG = flags_lib.define_config('configs/source.py')
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of the run.', required=True
)


def main(argv: list[str]) -> None:
  """Train."""
  del argv
  with parallel.explain_memory('lower --config.scenes or --config.views'):
    people_training.train(_CONFIG.value, _WORKDIR.value)


if __name__ == '__main__':
  flags_lib.run(main)
