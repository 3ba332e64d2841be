r"""Train one stage of the bundled prior; leaves a model folder in the workdir.

  python -m experiments.train_prior --config=configs/prior.py:fine \
    --workdir=out/fine --config.init=out/coarse/model [--config.resume=true]
"""

from maskjax.prior import settings as prior_settings, training as prior_training
from maskjax.training import flags as flags_lib, settings

_CONFIG = flags_lib.define_config('configs/prior.py')
_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the run.')


def main(argv: list[str]) -> None:
  """Train."""
  del argv
  stage = settings.read(prior_settings.Settings, _CONFIG.value)
  prior_training.train(stage, _WORKDIR.value)


if __name__ == '__main__':
  flags_lib.run(main)
