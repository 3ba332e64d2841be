"""Rebuild the weights of three face networks from their npm package.

    python third_party/face_api/build.py                   # npm pack
    python third_party/face_api/build.py --tarball=x.tgz

The package keeps each network as a manifest (JSON: names, shapes, and how
numbers were quantised to 8 bits) and a file of bytes. The bytes stay as they
are; arrays are renamed and laid out as Flax has them: kernels [height, width,
in, out]. The entry `quantization` of the safetensors files' metadata, a JSON
object, gives [scale, minimum] of each quantised array: its numbers are
minimum + scale * byte.
"""

import argparse
import json
import pathlib
import re
import subprocess
import tarfile
import tempfile

import numpy as np
from safetensors import numpy as safetensors

PACKAGE = '@vladmandic/face-api@1.7.15'
FOLDER = pathlib.Path(__file__).parent
NETWORKS = {
  'identity': 'face_recognition_model',
  'age_gender': 'age_gender_model',
  'expression': 'face_expression_model',
}
# Tried in turn, all of them.
RENAMES = (
  (r'^dense(\d)/conv(\d)', r'blocks_\1/conv_\2'),
  # identity; its blocks are counted afterwards
  (r'^conv32_down/(conv|scale)', r'stem/\1'),
  (r'^fc$', 'embedding/kernel'),
  (r'/conv([12])/', r'/conv_\1/'),
  # age_gender
  (r'^entry_flow/conv_in', 'stem'),
  (r'^entry_flow/reduction_block_', 'reduce_'),
  (r'^middle_flow/main_block_', 'main_'),
  (r'^exit_flow/reduction_block', 'reduce_2'),
  (r'^exit_flow/separable_conv', 'last'),
  (r'^fc/(age|gender)', r'\1'),
  (r'separable_conv(\d)', r'separable_\1'),
  (r'expansion_conv', 'shortcut'),
  # expression
  (r'^fc/', 'expression/'),
  # leaves
  (r'scale/weights$', 'scale/scale'),
  (r'scale/biases$', 'scale/bias'),
  (r'(filters|weights)$', 'kernel'),
  (r'depthwise_filter$', 'depthwise/kernel'),
  (r'pointwise_filter$', 'pointwise/kernel'),
)


def rename(names):
  """Return the Flax name of each name of one manifest."""
  blocks, renamed = {}, []
  separable = {n.rsplit('/', 1)[0] for n in names if 'pointwise' in n}
  for name in names:
    block, _, rest = name.partition('/')
    # conv64_down/conv1/... and conv64_1/conv1/..., but not conv32_down/conv/
    if re.match(r'conv\d+_', block) and re.match(r'conv\d/', rest):
      name = f'blocks_{blocks.setdefault(block, len(blocks))}/{rest}'
    if name.endswith('/bias') and name[: -len('/bias')] in separable:
      name = name[: -len('bias')] + 'pointwise/bias'
    for pattern, replacement in RENAMES:
      name = re.sub(pattern, replacement, name)
    renamed.append(name)
  return renamed


def convert(manifest, data):
  """Return ({name: u8 or f32 array}, metadata)."""
  weights = manifest[0]['weights']
  arrays, scales, position = {}, {}, 0
  for weight, name in zip(weights, rename([w['name'] for w in weights])):
    quantization = weight.get('quantization')
    dtype = np.dtype(np.uint8 if quantization else '<f4')
    count = int(np.prod(weight['shape']))
    array = np.frombuffer(data, dtype, count, position).reshape(weight['shape'])
    position += count * dtype.itemsize
    if name.endswith('depthwise/kernel'):
      array = array.transpose(0, 1, 3, 2)
    arrays[name] = np.ascontiguousarray(array)
    if quantization:
      scales[name] = [quantization['scale'], quantization['min']]
  if position != len(data):
    raise ValueError(f'{len(data) - position} bytes are left over')
  return arrays, {'quantization': json.dumps(scales)}


def fetch(folder):
  """Download the package with the npm client; return the tarball's path."""
  subprocess.run(['npm', 'pack', PACKAGE], cwd=folder, check=True)
  return next(pathlib.Path(folder).glob('*.tgz'))


def main():
  """Parse the command line and write the files."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--tarball', help='the package, if already here')
  parser.add_argument('--output', default=FOLDER, type=pathlib.Path)
  arguments = parser.parse_args()
  with (
    tempfile.TemporaryDirectory() as folder,
    tarfile.open(arguments.tarball or fetch(folder)) as archive,
  ):
    for name, model in NETWORKS.items():
      path = f'package/model/{model}'
      manifest = archive.extractfile(f'{path}-weights_manifest.json').read()
      data = archive.extractfile(f'{path}.bin').read()
      arrays, metadata = convert(json.loads(manifest), data)
      file = arguments.output / f'{name}.safetensors'
      safetensors.save_file(arrays, file, metadata)
      file.chmod(0o644)
      count = sum(a.size for a in arrays.values())
      print(f'{name:12s} {len(arrays)} arrays, {count} numbers')


if __name__ == '__main__':
  main()
