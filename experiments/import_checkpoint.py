r"""Bring an EG3D or StyleGAN2 checkpoint here, or back.

  python -m experiments.import_checkpoint --source=network.pkl --target=DIR
  python -m experiments.import_checkpoint --source=state.npz --target=DIR \
    [--preset=ffhq | --options=rendering.json]
  python -m experiments.import_checkpoint --source=DIR --target=state.npz

Reads the snapshots of stylegan2-ada-pytorch and EG3D without running anything
that is in them and without PyTorch, and plain states (.npz, .safetensors);
writes a folder for `experiments.render_avatar`. With a folder as source it
writes its networks back as a plain state in the reference's key names.
"""

from absl import flags

from maskjax.gan import (
  checkpoints,
  conversion,
  model as model_lib,
  snapshots,
)
from maskjax.training import flags as flags_lib

_SOURCE = flags.DEFINE_string('source', None, 'File or folder.', required=True)
_TARGET = flags_lib.define_folder('target', None, 'Folder or file.')
_PRESET = flags.DEFINE_enum(
  'preset', None, sorted(snapshots.PRESETS), 'How a plain state is rendered.'
)
_OPTIONS = flags.DEFINE_string(
  'options', None, 'JSON file with rendering_kwargs of a plain state.'
)
_NETWORKS = flags.DEFINE_list(
  'networks', [], 'Of G_ema, G and D, those to take; empty: all there are.'
)


def main(argv: list[str]) -> None:
  """Read the networks, write them, and print what they are."""
  del argv
  models = conversion.convert(
    _SOURCE.value,
    _TARGET.value,
    options=conversion.read_options(_PRESET.value, _OPTIONS.value),
    networks=_NETWORKS.value,
  )
  for name, model in models.items():
    kind = checkpoints.to_json(model.module.config)['kind']
    count = model_lib.parameter_count(model)
    print(f'{name}: {kind}, {count:,} parameters')
  print(f'written to {_TARGET.value}')


if __name__ == '__main__':
  flags_lib.run(main)
