r"""Paint pictures of a prompt.

  python -m experiments.generate_image --prompt="a tiger mask" --out=out/tiger
  python -m experiments.generate_image --prompt="a tiger mask" \
    --path=/models/sd15 --controlnet=/models/controlnet-seg --mask=mask.png
  python -m experiments.generate_image --prompt="a tiger mask" \
    --path=/models/sd15-inpainting --init_image=face.png --mask=mask.png

Without --path the bundled prior paints. Leaves NNNN.png (by seed), grid.png
and settings.json in the folder of --out.
"""

from absl import flags

from maskjax.prior import paint
from maskjax.training import flags as flags_lib

flags.DEFINE_string('prompt', None, 'What to show.', required=True)
flags.DEFINE_string('negative_prompt', '', 'What not to show.')
flags.DEFINE_string('path', '', 'Model folder, or id on the Hub.')
flags.DEFINE_string('mask', '', 'Picture: white where to paint.')
_CONTROLNETS = flags.DEFINE_list('controlnet', [], 'Folders of ControlNets.')
_CONDITIONS = flags.DEFINE_list(
  'condition', [], 'A picture for each ControlNet; without: the mask.'
)
_SCALES = flags_lib.define(
  'controlnet_scale', '1', 'Strength of each, or of all.', flags_lib.numbers
)
flags.DEFINE_string('init_image', '', 'Picture to paint into.')
flags.DEFINE_integer('count', 4, 'Pictures.')
flags.DEFINE_integer('seed', 0, 'Of the first; the next have the next.')
flags.DEFINE_integer('steps', 30, 'Evaluations for each picture.')
flags.DEFINE_enum('sampler', 'auto', paint.SAMPLERS, "auto: the model's own.")
flags.DEFINE_float('guidance_scale', None, 'Classifier-free.')
flags.DEFINE_enum(
  'dtype', 'auto', ('auto', 'float32', 'bfloat16'), 'Type to compute in.'
)
flags.DEFINE_string('variant', '', "Of the weights, e.g. 'fp16'.")
_OUT = flags_lib.define_folder('out', 'out/pictures', 'Folder of the pictures.')


def main(argv: list[str]) -> None:
  """Paint, and say where the pictures are."""
  del argv
  request = flags_lib.read(
    paint.Request,
    controlnets=_CONTROLNETS.value,
    conditions=_CONDITIONS.value,
    controlnet_scales=_SCALES.value,
  )
  settings = paint.run(request, _OUT.value)
  print(
    f'{request.prompt}: {request.count} pictures in {settings["seconds"]:.0f} '
    f's; see {_OUT.value}/grid.png'
  )


if __name__ == '__main__':
  flags_lib.run(main)
