"""Comparing the parts of a diffusers folder with PyTorch, on random inputs.

A row of the result is one output: its relative L2 error |ours - theirs| /
|theirs|, in float32. A right port reaches 1e-6 to 3e-6; the known mistakes of
ports (GELU by tanh, a wrong epsilon, a wrong padding) are above 1e-5.

Needs the packages of the extra `parity`. One network at a time is in memory,
PyTorch's before ours.

Shapes: B = 2 samples, H W pixels, C channels (last here, first in PyTorch).
"""

from collections.abc import Callable, Iterator
import contextlib
import functools
import math
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.diffusion import (
  clip,
  component,
  controlnet,
  embedding,
  schedulers,
  tokenizer as tokenizer_lib,
  unet,
  vae,
)
from maskjax.parity import samplers, torch_peer
from maskjax.weights import keymap

TOLERANCE = 5e-6

_BATCH = 2
_TEXT_LENGTH = 77
_TEXTS = (
  '',
  "A tiger's mask, 3D render; 8k -- (highly detailed:1.2)",
  'Café naïve\n\t 東京 🐯 ÅNGSTRÖM <|endoftext|> 1234',
  'a very long prompt ' * 40,
)


class Row(NamedTuple):
  """The outcome of one comparison.

  Attributes:
    part: a name of `CHECKS`.
    case: which output.
    error: relative L2 error; NaN if there was nothing to compare.
    tolerance: largest error that passes.
    note: what else is to be said.
  """

  part: str
  case: str
  error: float
  tolerance: float
  note: str = ''

  @property
  def passed(self) -> bool:
    """True if the error is within the tolerance; NaN is not."""
    return self.error <= self.tolerance

  def __str__(self) -> str:
    """Return one line of the table."""
    error = '    -    ' if math.isnan(self.error) else f'{self.error:9.2e}'
    verdict = 'pass' if self.passed else 'FAIL'
    line = f'{self.part:<13} {self.case:<22} {error}  {verdict}  {self.note}'
    return line.rstrip()


class Options(NamedTuple):
  """What every comparison is given.

  Attributes:
    tolerance: largest relative L2 error of networks that passes.
    variant: of the weights; None for full precision.
    seed: of the inputs.
    parts: folders by part.
    peers: folders that PyTorch opens in place of ours.
  """

  tolerance: float
  variant: str | None
  seed: int
  parts: dict[str, list[pathlib.Path]]
  peers: dict[pathlib.Path, pathlib.Path]


class _Peer(NamedTuple):
  """PyTorch's network.

  Attributes:
    network: the module.
    filled: weights that it was given in place of zeros, by their keys.
  """

  network: Any
  filled: dict[str, np.ndarray]

  @property
  def note(self) -> str:
    """What is to be said of the weights that were filled in."""
    count = len(self.filled)
    return f'{count} weights of zeros made random in both' if count else ''


def _theirs(folder: pathlib.Path, options: Options) -> _Peer:
  """Open a network's folder, or the one that stands for it, in PyTorch."""
  path = options.peers.get(folder, folder)
  variant = options.variant if path == folder else None
  network = torch_peer.open_network(path, variant)
  return _Peer(network, torch_peer.refill(network, options.seed))


def _ours(
  folder: pathlib.Path,
  options: Options,
  filled: dict[str, np.ndarray],
  **arguments: Any,
) -> Callable[..., Any]:
  """Open a network's folder here; returns a function of the inputs."""
  module, params = component.load(folder, variant=options.variant)
  for path, value in keymap.walk(keymap.from_torch(filled)):
    node = params
    for part in path[:-1]:
      node = node[part]
    if np.any(node[path[-1]]):
      raise ValueError(f'{".".join(path)} is zero in PyTorch only')
    node[path[-1]] = jnp.asarray(value)
  apply = jax.jit(functools.partial(module.apply, **arguments))

  def call(*inputs, **labels):
    # A GPU would otherwise round the factors of every product.
    with jax.default_matmul_precision('highest'):
      outputs = apply({'params': params}, *inputs, **labels)
      return jax.tree.map(np.asarray, outputs)

  return call


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
  """Draw standard normal numbers in float32."""
  return rng.standard_normal(shape).astype(np.float32)


def _size(blocks: int) -> tuple[int, int]:
  """Return an oblong size that can be halved at every block but the last."""
  factor = 2 ** (blocks - 1)
  short = factor * max(2, 8 // factor)
  return short, short + short // 2


def _timesteps(options: Options) -> list[int]:
  """Return low, middle and high timesteps of the folder's schedule."""
  count = 1000
  if folders := options.parts.get('scheduler'):
    # A scheduler that is not supported is answered in its own row.
    with contextlib.suppress(ValueError):
      count = schedulers.load(folders[0]).num_train_timesteps
  return [min(1, count - 1), 2 * count // 5, count - 1]


def _check_tokenizer(folder: pathlib.Path, options: Options) -> Iterator[Row]:
  """Compare the ids of texts; the error is the share that differs."""
  _, _, transformers = torch_peer.libraries()
  length = _text_length(options)
  ours = tokenizer_lib.load(folder, max_length=length)
  theirs = transformers.CLIPTokenizer.from_pretrained(
    options.peers.get(folder, folder), local_files_only=True
  )(
    list(_TEXTS), padding='max_length', truncation=True, max_length=length
  ).input_ids
  differ = np.mean(tokenizer_lib.encode(ours, _TEXTS) != np.asarray(theirs))
  yield Row('tokenizer', f'{len(_TEXTS)} texts', float(differ), 0.0)


def _text_length(options: Options) -> int:
  """Return how many tokens the text encoder takes."""
  if folders := options.parts.get('text_encoder'):
    return component.read_config(folders[0]).max_position_embeddings
  return _TEXT_LENGTH


def _token_ids(
  config: clip.ClipTextConfig, options: Options
) -> tuple[np.ndarray, str]:
  """Return tokens of texts, or random ones where there is no tokenizer."""
  length = config.max_position_embeddings
  if folders := options.parts.get('tokenizer'):
    words = tokenizer_lib.load(folders[0], max_length=length)
    ids = tokenizer_lib.encode(words, _TEXTS)
    if ids.max() >= config.vocab_size:
      raise ValueError(
        f'the tokenizer makes the id {ids.max()}, but the text encoder has '
        f'vocab_size={config.vocab_size}'
      )
    return ids, ''
  rng = np.random.default_rng(options.seed)
  ids = rng.integers(0, config.vocab_size, (_BATCH, length))
  return ids.astype(np.int32), 'random tokens: no tokenizer'


def _check_text_encoder(
  folder: pathlib.Path, options: Options
) -> Iterator[Row]:
  """Compare the states of tokens, and the pooled one."""
  torch = torch_peer.libraries()[0]
  ids, note = _token_ids(component.read_config(folder), options)
  peer, filled = _theirs(folder, options)
  with torch.no_grad():
    out = peer(torch.from_numpy(ids).long())
  del peer
  theirs = out.last_hidden_state.numpy(), out.pooler_output.numpy()
  ours = _ours(folder, options, filled, pooled=True)(ids)
  for case, mine, peers in zip(('hidden states', 'pooled'), ours, theirs):
    error = torch_peer.relative_l2(mine, peers)
    yield Row('text_encoder', case, error, options.tolerance, note)


def _check_vae(folder: pathlib.Path, options: Options) -> Iterator[Row]:
  """Compare both ways between images and latents."""
  torch = torch_peer.libraries()[0]
  config = component.read_config(folder)
  rng = np.random.default_rng(options.seed)
  height, width = _size(len(config.block_out_channels))
  images = _normal(rng, _BATCH, height, width, config.in_channels)
  images = np.clip(0.5 * images, -1.0, 1.0)
  with torch.no_grad():
    peer, filled = _theirs(folder, options)
    moments = peer.encode(torch_peer.to_torch(images)).latent_dist
    encoded = [torch_peer.from_torch(x) for x in (moments.mean, moments.std)]
    latents = _normal(rng, *encoded[0].shape)
    latents = np.asarray(vae.unscale_latents(config, jnp.asarray(latents)))
    decoded = torch_peer.from_torch(
      peer.decode(torch_peer.to_torch(latents)).sample
    )
    del peer
  network = vae.AutoencoderKL
  ours = _ours(folder, options, filled, method=network.encode)(images)
  for case, mine, theirs in zip(('encode, mean', 'encode, std'), ours, encoded):
    yield Row(
      'vae', case, torch_peer.relative_l2(mine, theirs), options.tolerance
    )
  mine = _ours(folder, options, filled, method=network.decode)(latents)
  yield Row(
    'vae', 'decode', torch_peer.relative_l2(mine, decoded), options.tolerance
  )


def _inputs(
  config: unet.UNetConfig | controlnet.ControlNetConfig, options: Options
) -> tuple[np.ndarray, np.ndarray]:
  """Return a random sample and text for a UNet or ControlNet."""
  rng = np.random.default_rng(options.seed)
  size = _size(len(config.block_out_channels))
  return (
    _normal(rng, _BATCH, *size, config.in_channels),
    _normal(rng, _BATCH, _TEXT_LENGTH, config.cross_attention_dim),
  )


def _labels(
  config: unet.UNetConfig | controlnet.ControlNetConfig, options: Options
) -> dict[str, np.ndarray]:
  """Return random classes and guidance, where the network takes them."""
  rng = np.random.default_rng(options.seed)
  classes = embedding.class_labels(config, _BATCH)
  guidance = embedding.guidance_labels(config, _BATCH)
  labels = {}
  if classes is not None and classes.dtype == jnp.int32:
    labels['class_labels'] = rng.integers(
      0, config.num_class_embeds, _BATCH, np.int32
    )
  elif classes is not None:
    labels['class_labels'] = _normal(rng, *classes.shape)
  if guidance is not None:
    labels['guidance'] = _normal(rng, *guidance.shape)
  return labels


def _their_labels(labels: dict[str, np.ndarray]) -> dict[str, Any]:
  """Return them under PyTorch's names."""
  names = {'guidance': 'timestep_cond'}
  torch = torch_peer.libraries()[0]
  return {names.get(k, k): torch.from_numpy(v) for k, v in labels.items()}


def _random_residuals(
  config: unet.UNetConfig, sample: np.ndarray, text: np.ndarray, seed: int
) -> Any:
  """Return what a ControlNet could add to a UNet's skips."""
  steering = controlnet.ControlNetConfig.from_unet(
    config, conditioning_embedding_out_channels=(1,)
  )
  condition = np.zeros((*sample.shape[:3], 3), np.float32)
  shapes = jax.eval_shape(
    controlnet.ControlNetModel(steering).apply,
    {'params': controlnet.parameter_shapes(steering)},
    *(sample, 0, text, condition),
    class_labels=embedding.class_labels(steering, _BATCH),
  )
  rng = np.random.default_rng(seed)
  return jax.tree.map(lambda leaf: _normal(rng, *leaf.shape), shapes)


def _check_unet(folder: pathlib.Path, options: Options) -> Iterator[Row]:
  """Compare predictions, without and with a ControlNet's residuals."""
  torch = torch_peer.libraries()[0]
  config = component.read_config(folder)
  sample, text = _inputs(config, options)
  residuals = _random_residuals(config, sample, text, options.seed)
  nothing = jax.tree.map(np.zeros_like, residuals)
  labels = _labels(config, options)
  steps = _timesteps(options)
  cases = [(f't = {t}', t, nothing) for t in steps]
  cases.append((f't = {steps[1]}, residuals', steps[1], residuals))
  peer, filled = _theirs(folder, options)
  theirs = []
  for _, t, (down, middle) in cases:
    with torch.no_grad():
      out = peer(
        torch_peer.to_torch(sample),
        t,
        torch.from_numpy(text),
        down_block_additional_residuals=tuple(map(torch_peer.to_torch, down)),
        mid_block_additional_residual=torch_peer.to_torch(middle),
        **_their_labels(labels),
      )
    theirs.append(torch_peer.from_torch(out.sample))
  del peer
  ours = _ours(folder, options, filled)
  for (case, t, added), prediction in zip(cases, theirs):
    mine = ours(sample, jnp.int32(t), text, *added, **labels)
    error = torch_peer.relative_l2(mine, prediction)
    yield Row('unet', case, error, options.tolerance)


def _check_controlnet(folder: pathlib.Path, options: Options) -> Iterator[Row]:
  """Compare residuals; a row is the worst of them."""
  torch = torch_peer.libraries()[0]
  config = component.read_config(folder)
  sample, text = _inputs(config, options)
  factor = 2 ** (len(config.conditioning_embedding_out_channels) - 1)
  condition = np.random.default_rng(options.seed).random(
    (
      _BATCH,
      *(factor * side for side in sample.shape[1:3]),
      config.conditioning_channels,
    ),
    np.float32,
  )
  labels = _labels(config, options)
  opened = _theirs(folder, options)
  note, (peer, filled) = opened.note, opened
  del opened
  theirs = []
  for t in _timesteps(options):
    with torch.no_grad():
      down, middle = peer(
        torch_peer.to_torch(sample),
        t,
        torch.from_numpy(text),
        torch_peer.to_torch(condition),
        return_dict=False,
        **_their_labels(labels),
      )
    theirs.append([torch_peer.from_torch(x) for x in (*down, middle)])
  del peer
  ours = _ours(folder, options, filled)
  several = len(options.parts['controlnet']) > 1
  for t, expected in zip(_timesteps(options), theirs):
    down, middle = ours(sample, jnp.int32(t), text, condition, **labels)
    errors = [
      torch_peer.relative_l2(*pair)
      for pair in zip((*down, middle), expected, strict=True)
    ]
    case = f't = {t}' + (f', {folder.name}' if several else '')
    yield Row('controlnet', case, max(errors), options.tolerance, note)


def _check_scheduler(folder: pathlib.Path, options: Options) -> Iterator[Row]:
  """Compare the samplers; where PyTorch's loses more by rounding, by that."""
  for method in samplers.METHODS:
    found = samplers.compare(
      folder, method, peer=options.peers.get(folder), seed=options.seed
    )
    tolerance = max(options.tolerance, found.rounding)
    case = f'{method}, {samplers.STEPS} steps'
    note = found.note
    if tolerance > options.tolerance:
      note = f"{tolerance:.0e} allowed: float32 in PyTorch's first step; {note}"
    yield Row('scheduler', case, found.error, tolerance, note.rstrip('; '))


# By part of a model, in the order of the table.
CHECKS: dict[str, Callable[[pathlib.Path, Options], Iterator[Row]]] = {
  'tokenizer': _check_tokenizer,
  'text_encoder': _check_text_encoder,
  'unet': _check_unet,
  'controlnet': _check_controlnet,
  'vae': _check_vae,
  'scheduler': _check_scheduler,
}
