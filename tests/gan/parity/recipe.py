"""Weights and inputs of goldens, from a name and a seed.

Every array has a frozen NumPy stream of its own, seeded by base seed times
1000003 plus the CRC-32 of its name: neither the order of the arrays nor the
framework matters. The scale of each keeps activations in a usual range and
leaves no bias, noise strength or mean latent at zero, where a mistake could
hide.
"""

from collections.abc import Mapping, Sequence
import re
import zlib

import numpy as np

# Stored weights of the mapping network are larger by its learning rate.
_MAPPING_LR = 0.01
# On the density of the decoder, so that it varies strongly along a ray.
_DENSITY_GAIN = 6.0
_DENSITY_BIAS = 2.0


def _stream(seed: int, name: str) -> np.random.RandomState:
  """Return the stream of a name."""
  crc = zlib.crc32(name.encode('ascii'))
  return np.random.RandomState((seed * 1000003 + crc) % 2**32)


def _decoder(key: str, value: np.ndarray, lr_multiplier: float) -> np.ndarray:
  """Scale an array of the decoder."""
  is_bias = key.endswith('.bias')
  value = (0.2 if is_bias else 1.0) * value / lr_multiplier
  if key == 'decoder.net.2.weight':
    value[0] *= _DENSITY_GAIN
  elif key == 'decoder.net.2.bias':
    value[0] = _DENSITY_BIAS / lr_multiplier
  return value


def _scale(key: str, value: np.ndarray, lr_multiplier: float) -> np.ndarray:
  """Scale standard normal numbers by what they are for."""
  if re.search(r'mapping\.fc\d+\.weight$', key):
    return value / _MAPPING_LR
  if re.search(r'mapping\.fc\d+\.bias$', key):
    return 0.2 * value / _MAPPING_LR
  if re.fullmatch(r'decoder\.net\..*\.(weight|bias)', key):
    return _decoder(key, value, lr_multiplier)
  if key.endswith('.affine.bias'):
    return 1.0 + 0.1 * value
  if key.endswith('.bias'):
    return 0.2 * value
  if key.endswith('noise_strength'):
    return 0.1 * value
  if key.endswith('w_avg'):
    return 0.3 * value
  return value


def make_state(
  seed: int,
  shapes: Mapping[str, Sequence[int]],
  *,
  decoder_lr_multiplier: float = 1.0,
) -> dict[str, np.ndarray]:
  """Make a reference state.

  Args:
    seed: base seed.
    shapes: of every array, under the reference's keys.
    decoder_lr_multiplier: learning rate of EG3D's decoder, which its stored
      weights are divided by.

  Returns:
    float32 arrays under the same keys.
  """
  state = {}
  for key, shape in shapes.items():
    if key.endswith('resample_filter'):
      value = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    else:
      value = np.asarray(_stream(seed, key).standard_normal(tuple(shape)))
      value = _scale(key, value, decoder_lr_multiplier)
    state[key] = np.asarray(value, np.float32)
  return state


def normal(seed: int, name: str, shape: Sequence[int]) -> np.ndarray:
  """Return standard normal inputs, float32."""
  stream = _stream(seed, f'input:{name}')
  return stream.standard_normal(tuple(shape)).astype(np.float32)
