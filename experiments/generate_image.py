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

from maskjax.diffusion import sampling
from maskjax.prior import paint
from maskjax.training import flags as flags_lib

_PROMPT = flags.DEFINE_string('prompt', None, 'What to show.', required=True)
_NEGATIVE = flags.DEFINE_string('negative_prompt', '', 'What not to show.')
_PATH = flags.DEFINE_string('path', '', 'Model folder, or id on the Hub.')
_MASK = flags.DEFINE_string('mask', '', 'Picture: white where to paint.')
_CONTROLNET = flags.DEFINE_list('controlnet', [], 'Folders of ControlNets.')
_CONDITION = flags.DEFINE_list(
  'condition', [], 'A picture for each ControlNet; without: the mask.'
)
_SCALE = flags.DEFINE_list(
  'controlnet_scale', ['1'], 'Strength of each ControlNet, or one for all.'
)
_INIT = flags.DEFINE_string('init_image', '', 'Picture to paint into.')
_COUNT = flags.DEFINE_integer('count', 4, 'Pictures.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the first; the next have the next.')
_STEPS = flags.DEFINE_integer('steps', 30, 'Evaluations for each picture.')
_SAMPLER = flags.DEFINE_enum(
  'sampler', 'auto', ('auto', *sampling.METHODS), "auto: the model's own."
)
_GUIDANCE = flags.DEFINE_float('guidance_scale', None, 'Classifier-free.')
_DTYPE = flags.DEFINE_enum(
  'dtype', 'auto', ('auto', 'float32', 'bfloat16'), 'Type to compute in.'
)
_VARIANT = flags.DEFINE_string('variant', '', "Of the weights, e.g. 'fp16'.")
_OUT = flags.DEFINE_string('out', 'out/pictures', 'Folder of the pictures.')


def _scales() -> tuple[float, ...]:
  """Read the strength of each ControlNet."""
  try:
    return tuple(map(float, _SCALE.value))
  except ValueError:
    words = ','.join(_SCALE.value)
    raise ValueError(f'--controlnet_scale={words}: not numbers') from None


def main(argv: list[str]) -> None:
  """Paint, and say where the pictures are."""
  del argv
  request = paint.Request(
    prompt=_PROMPT.value,
    negative_prompt=_NEGATIVE.value,
    path=_PATH.value,
    controlnets=tuple(_CONTROLNET.value),
    mask=_MASK.value,
    conditions=tuple(_CONDITION.value),
    controlnet_scales=_scales(),
    init_image=_INIT.value,
    count=_COUNT.value,
    seed=_SEED.value,
    steps=_STEPS.value,
    sampler=_SAMPLER.value,
    guidance_scale=_GUIDANCE.value,
    dtype=_DTYPE.value,
    variant=_VARIANT.value,
  )
  settings = paint.run(request, _OUT.value)
  print(
    f'{request.prompt}: {request.count} pictures in {settings["seconds"]:.0f} '
    f's; see {_OUT.value}/grid.png'
  )


if __name__ == '__main__':
  flags_lib.run(main)
