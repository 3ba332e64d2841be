r"""Train the matcher; leaves its folder and report.json in the workdir.

  python -m experiments.train_matcher --config=configs/matcher.py \
    --workdir=out/matcher [--config.data=DIR] [--config.resume=true]
"""

from maskjax.matcher import network, training as matcher_training
from maskjax.training import flags as flags_lib, settings

_CONFIG = flags_lib.define_config('configs/matcher.py')
_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the run.')


def main(argv: list[str]) -> None:
  """Train, and say how well it does on heads it has not seen."""
  del argv
  config = settings.read(matcher_training.Settings, _CONFIG.value)
  report = matcher_training.train(config, _WORKDIR.value)
  held_out = report['held_out']
  words = ', '.join(
    f'{name} {held_out[name]:.1%}' for name in network.ATTRIBUTES
  )
  print(f'{held_out["pictures"]} held-out pictures: {words}')


if __name__ == '__main__':
  flags_lib.run(main)
