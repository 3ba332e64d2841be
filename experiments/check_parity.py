r"""Compare a model here with PyTorch's diffusers, number by number.

  python -m experiments.check_parity --diffusers=FOLDER \
    [--parts=unet,vae] [--controlnet=FOLDER] [--tolerance=5e-6] \
    [--reference=FOLDER]

FOLDER is a whole model, one part of it, or an id of the Hugging Face Hub;
every output is compared with PyTorch's by its relative L2 error. This needs
PyTorch: `pip install maskjax[parity]`. The exit status is 0 only if all pass.
"""

import sys

from absl import flags

from maskjax.parity import folders, networks
from maskjax.training import flags as flags_lib

_FOLDER = flags.DEFINE_string(
  'diffusers', None, 'Folder or id of the model.', required=True
)
_CONTROLNETS = flags.DEFINE_list('controlnet', [], 'Further ControlNets.')
_PARTS = flags.DEFINE_list(
  'parts', [], f'Parts, of {", ".join(networks.CHECKS)}; empty: all there are.'
)
_TOLERANCE = flags_lib.define_float(
  'tolerance',
  networks.TOLERANCE,
  'Largest relative L2 error of a network.',
  0,
)
_REVISION = flags.DEFINE_string('revision', None, 'Of an id on the Hub.')
_VARIANT = flags.DEFINE_string('variant', None, "Of the weights, e.g. 'fp16'.")
_REFERENCE = flags.DEFINE_string(
  'reference', None, 'What PyTorch opens, if not the same folder.'
)
_SEED = flags_lib.define_seed('Seed of the inputs.')


def main(argv: list[str]) -> None:
  """Print the table; exit with status 1 unless all passes."""
  del argv
  if unknown := [name for name in _PARTS.value if name not in networks.CHECKS]:
    names = ', '.join(networks.CHECKS)
    raise ValueError(f'--parts has {unknown[0]!r}, which is none of {names}')
  rows = folders.check(
    _FOLDER.value,
    controlnets=_CONTROLNETS.value,
    parts=_PARTS.value,
    tolerance=_TOLERANCE.value,
    variant=_VARIANT.value,
    reference=_REFERENCE.value,
    revision=_REVISION.value,
    seed=_SEED.value,
  )
  if not folders.told(rows):
    sys.exit(1)


if __name__ == '__main__':
  flags_lib.run(main)
