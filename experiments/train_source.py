r"""Train the source domain, a small EG3D of people; leaves a model folder.

  python -m experiments.train_source --config=configs/source.py \
    --workdir=out/source [--config.resume=true]

The workdir holds the averaged generator (model/), sheets of known and new
people beside their depth (samples/), the curves (metrics.jsonl) and, at the
end, a walk from person to person (walk.mp4).
"""

from maskjax.people_gan import (
  settings as people_settings,
  training as people_training,
)
from maskjax.training import flags as flags_lib, parallel, settings

_CONFIG = flags_lib.define_config('configs/source.py')
_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the run.')


def main(argv: list[str]) -> None:
  """Train."""
  del argv
  stage = settings.read(people_settings.Settings, _CONFIG.value)
  with parallel.explain_memory('lower --config.scenes or --config.views'):
    people_training.train(stage, _WORKDIR.value)


if __name__ == '__main__':
  flags_lib.run(main)
