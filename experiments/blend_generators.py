r"""Blend two generators, one of which was trained on from the other.

  python -m experiments.blend_generators --first=out/source/model \
    --second=out/source_gan/model --share=0.7 --target=out/source_blend/model
  python -m experiments.evaluate_source --checkpoint=out/source_blend/model \
    --data=out/source_faces --workdir=out/evaluate_blend

A share of 0 gives the first, 1 the second. Between them there often is a
network that is as varied and sharp as the second and as clean as the first.
"""

from absl import flags

from maskjax.gan import blend
from maskjax.training import flags as flags_lib

_FIRST = flags.DEFINE_string('first', None, 'Model folder.', required=True)
_SECOND = flags.DEFINE_string('second', None, 'Model folder.', required=True)
_SHARE = flags.DEFINE_float('share', 0.7, 'Of the second, 0 to 1.')
_TARGET = flags.DEFINE_string('target', None, 'Where to.', required=True)


def main(argv: list[str]) -> None:
  """Blend."""
  del argv
  blend.blend_folders(_FIRST.value, _SECOND.value, _SHARE.value, _TARGET.value)
  print(_TARGET.value)


if __name__ == '__main__':
  flags_lib.run(main)
