r"""Wear a mask in a video or a photo.

  python -m experiments.wear_mask --mask=out/tiger/mask.glb --video=me.mp4 \
    --workdir=out/worn
  python -m experiments.wear_mask --mask=out/tiger/mask.glb --image=me.jpg \
    --workdir=out/worn
  python -m experiments.wear_mask --prompt="a Bengal tiger" --image=me.jpg \
    --workdir=out/worn

A video leaves worn.mp4 with its sound, mask_only.webm, motion.glb, report.json
and report.png in the workdir; a photo worn.png and mask_only.png. With words
in place of a mask, one is made first, in the folder mask of the workdir.
"""

import pathlib

from absl import flags

from maskjax.mask import generate, settings as mask_settings
from maskjax.training import flags as flags_lib, settings as settings_lib
from maskjax.wear import clip, image, masks, settings, video

_CONFIG = flags_lib.define_config('configs/wear.py')
_MASK = flags.DEFINE_list('mask', [], 'Mesh files; each face gets the next.')
_PROMPT = flags.DEFINE_string('prompt', '', 'Words for a mask.')
_VIDEO = flags.DEFINE_string('video', '', 'A video.')
_IMAGE = flags.DEFINE_string('image', '', 'A photo.')
_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the results.')


def _masks() -> list[str]:
  """Return the files of the masks; makes one of words."""
  if bool(_MASK.value) == bool(_PROMPT.value):
    raise ValueError('give either --mask=FILE or --prompt="words"')
  if _MASK.value:
    return list(_MASK.value)
  config = flags_lib.default_config('configs/mask.py')
  config.prompt = _PROMPT.value
  folder = pathlib.Path(_WORKDIR.value) / 'mask'
  generate.run(
    settings_lib.read(mask_settings.MaskSettings, config), str(folder)
  )
  return [str(folder / 'mask.glb')]


def main(argv: list[str]) -> None:
  """Read, wear, and say where the result is."""
  del argv
  asked = settings_lib.read(settings.WearSettings, _CONFIG.value)
  if bool(_VIDEO.value) == bool(_IMAGE.value):
    raise ValueError('give either --video=FILE or --image=FILE')
  if _VIDEO.value:
    video.probe(_VIDEO.value)  # before a mask is made for it
  meshes = [masks.load(path) for path in _masks()]
  if _IMAGE.value:
    image.run(_IMAGE.value, meshes[0], asked, _WORKDIR.value)
    print(f'wrote {_WORKDIR.value}/worn.png')
    return
  report = clip.run(_VIDEO.value, meshes, asked, _WORKDIR.value)
  for words in report['said']:
    print(words)
  print(
    f'{report["frames"]} frames, {report["frames_per_second"]} a second, '
    f'{report["frames_with_mask"]} with a mask; see {_WORKDIR.value}/worn.mp4'
  )


if __name__ == '__main__':
  flags_lib.run(main)
