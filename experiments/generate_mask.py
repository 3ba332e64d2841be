r"""Make a 3D mask from words.

  python -m experiments.generate_mask --config=configs/mask.py \
    --config.prompt="a Bengal tiger" --workdir=out/tiger

Leaves mask.glb, preview.png, turntable.mp4, metrics.jsonl, report.json and
config.json in the workdir. `--config.resume=true --config.steps=400` trains
on; `--config.back=150` exports the checkpoint of step 150 again.
"""

from maskjax.mask import generate, settings
from maskjax.training import flags as flags_lib, settings as settings_lib

_CONFIG = flags_lib.define_config('configs/mask.py')
_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the run.')


def main(argv: list[str]) -> None:
  """Generate, and say where the files are."""
  del argv
  asked = settings_lib.read(settings.MaskSettings, _CONFIG.value)
  report = generate.run(asked, _WORKDIR.value)
  seconds = sum(report['seconds'].values())
  print(
    f'{report["prompt"]}: {report["steps"]} steps, {seconds:.0f} s; see '
    f'{_WORKDIR.value}/preview.png and {_WORKDIR.value}/turntable.mp4'
  )


if __name__ == '__main__':
  flags_lib.run(main)
