"""Records what torchvision's and FID's Inception-v3 answer, for a test.

The weights are random but reproducible by their names, so they need not be
kept. Run in an environment with torch, torchvision and pytorch-fid:

  python tests/evaluation/goldens/record_inception.py
"""

import pathlib
import zlib

import numpy as np

SIDE = 96


def picture() -> np.ndarray:
  """Return a picture with structure, f32[1, 3, SIDE, SIDE] in [-1, 1]."""
  y, x = np.meshgrid(*[np.linspace(-3, 3, SIDE)] * 2, indexing='ij')
  waves = [np.sin(k * x + 1.3 * y) * np.cos(0.5 * k * y) for k in (1, 2, 3)]
  return np.stack(waves)[None].astype(np.float32)


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
  """Return the random tensor of a name."""
  draw = np.random.default_rng(zlib.crc32(name.encode()))
  values = draw.standard_normal(shape, np.float32)
  if len(shape) == 4:
    return values * np.float32(np.sqrt(2 / np.prod(shape[1:])))
  if name.endswith('running_var'):
    return np.exp(0.2 * values)
  return 0.1 * values + np.float32(name.endswith('bn.weight'))


def _features(network) -> np.ndarray:
  import torch

  state = {
    name: torch.from_numpy(tensor(name, tuple(value.shape)))
    for name, value in network.state_dict().items()
    if value.ndim
  }
  network.load_state_dict(state, strict=False)
  network.eval()
  network.fc = torch.nn.Identity()
  with torch.no_grad():
    return network(torch.from_numpy(picture())).numpy()[0]


def _main():
  from pytorch_fid import inception
  import torchvision

  def plain():
    return torchvision.models.inception_v3(
      weights=None, aux_logits=False, init_weights=False, transform_input=False
    )

  fid = plain()
  for name, cls, options in (
    ('Mixed_5b', inception.FIDInceptionA, (192, 32)),
    ('Mixed_5c', inception.FIDInceptionA, (256, 64)),
    ('Mixed_5d', inception.FIDInceptionA, (288, 64)),
    ('Mixed_6b', inception.FIDInceptionC, (768, 128)),
    ('Mixed_6c', inception.FIDInceptionC, (768, 160)),
    ('Mixed_6d', inception.FIDInceptionC, (768, 160)),
    ('Mixed_6e', inception.FIDInceptionC, (768, 192)),
    ('Mixed_7b', inception.FIDInceptionE_1, (1280,)),
    ('Mixed_7c', inception.FIDInceptionE_2, (2048,)),
  ):
    setattr(fid, name, cls(*options))
  np.savez_compressed(
    pathlib.Path(__file__).with_name('inception.npz'),
    torchvision=_features(plain()),
    fid=_features(fid),
  )


if __name__ == '__main__':
  _main()
