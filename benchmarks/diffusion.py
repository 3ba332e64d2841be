r"""Seconds of Stable Diffusion's parts, here and in PyTorch, in one run.

  python -m benchmarks.diffusion [--small] [--rounds=3] [--dtype=float32] \
    [--parts=UNet,VAE] [--out=out/diffusion.json]

The UNet of Stable Diffusion 1.5 on two samples of 32x32 and 64x64 latents, the
VAE's encoder forward and backward at 512 pixels, and a distillation step of
one view (encoder forward and backward, two evaluations of the UNet). Weights
are random. Calls take turns, each twice, of which the second is timed, as in a
loop of one kind; medians are printed: seconds, and those of all processor cores
together, which say more where others use the machine, too.
The first call of ours compiles. PyTorch (extra `parity`) is left out where it
is not installed. About 10 GiB of memory at full size; --small takes seconds
and says nothing of it.
"""

from collections.abc import Callable
import functools
import statistics
import time
from typing import Any, NamedTuple

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from maskjax.diffusion import distill, schedulers, unet, vae
from maskjax.training import files, flags as flags_lib, parallel

_SMALL = flags.DEFINE_bool('small', False, 'Tiny networks: does it run?')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Timed calls of each part.', 1)
_DTYPE = flags.DEFINE_enum(
  'dtype', 'auto', ('auto', 'float32', 'bfloat16'), 'Type to compute in.'
)
_PARTS = flags.DEFINE_list('parts', [], 'Beginnings of names; empty: all.')
_OUT = flags.DEFINE_string('out', '', 'JSON file of the table.')

_GUIDANCE = 7.5
_COLUMNS = {
  'first': 'first',
  'ours': 'ours',
  'pytorch': 'PyTorch',
  'ratio': 'ratio',
  'ours_cores': '(cores)',
  'pytorch_cores': '(cores)',
}
_SCHEDULER = {
  'beta_schedule': 'scaled_linear',
  'beta_start': 0.00085,
  'beta_end': 0.012,
}


class Sizes(NamedTuple):
  """Networks and what they are run on."""

  unet: dict[str, Any]
  vae: dict[str, Any]
  latents: tuple[int, ...]
  pixels: int


_FULL = Sizes(
  unet={'sample_size': 64, 'cross_attention_dim': 768},
  vae={
    'down_block_types': ['DownEncoderBlock2D'] * 4,
    'up_block_types': ['UpDecoderBlock2D'] * 4,
    'block_out_channels': [128, 256, 512, 512],
    'layers_per_block': 2,
  },
  latents=(32, 64),
  pixels=512,
)
_TINY = Sizes(
  unet={
    'sample_size': 16,
    'down_block_types': ['CrossAttnDownBlock2D', 'DownBlock2D'],
    'up_block_types': ['UpBlock2D', 'CrossAttnUpBlock2D'],
    'block_out_channels': [32, 32],
    'layers_per_block': 1,
    'cross_attention_dim': 16,
  },
  vae={
    'down_block_types': ['DownEncoderBlock2D'] * 2,
    'up_block_types': ['UpDecoderBlock2D'] * 2,
    'block_out_channels': [32, 32],
  },
  latents=(8, 16),
  pixels=32,
)


class Part(NamedTuple):
  """Something to time, here and, if it is installed, in PyTorch."""

  name: str
  ours: Callable[[], Any]
  theirs: Callable[[], Any] | None


def _normal(*shape: int) -> np.ndarray:
  rng = np.random.default_rng(0)
  return rng.standard_normal(shape, np.float32)


def _params(shapes: Any, dtype: Any) -> Any:
  """Draw small parameters."""
  return jax.tree.map(
    lambda x: jnp.asarray(0.02 * _normal(*x.shape), dtype), shapes
  )


def _distillation_gradient(images, unet_fn, encode, eps, schedule):
  """Return the gradient of one step with respect to the picture."""

  def loss(images):
    def predict(x_t, t):
      outputs = unet_fn(jnp.concatenate([x_t, x_t]), jnp.repeat(t, 2))
      without, with_text = jnp.split(outputs, 2)
      return without + _GUIDANCE * (with_text - without)

    total, _ = distill.sds_loss(
      predict, encode(images), jnp.array([500]), eps, schedule=schedule
    )
    return total

  return jax.grad(loss)(images)


def _our_calls(sizes: Sizes, dtype: Any) -> dict[str, Callable[[], Any]]:
  """Return our side of every part."""
  unet_config = unet.UNetConfig.from_dict(sizes.unet)
  vae_config = vae.VaeConfig.from_dict(sizes.vae)
  denoiser = unet.UNet2DConditionModel(unet_config, dtype)
  autoencoder = vae.AutoencoderKL(vae_config, dtype)

  @functools.cache
  def params(name):  # Made when they are first needed.
    shapes = {'unet': unet, 'vae': vae}[name].parameter_shapes
    config = {'unet': unet_config, 'vae': vae_config}[name]
    return _params(shapes(config), dtype)

  text = jnp.asarray(_normal(2, 77, unet_config.cross_attention_dim))
  images = jnp.asarray(_normal(1, sizes.pixels, sizes.pixels, 3))
  side = sizes.pixels // 2 ** (len(vae_config.block_out_channels) - 1)
  schedule = schedulers.from_config(_SCHEDULER)

  def evaluate(params, x_t, t):
    return denoiser.apply({'params': params}, x_t, t, text)

  def encode(params, images):
    variables = {'params': params}
    mean = autoencoder.apply(
      variables, images, method=vae.AutoencoderKL.encode
    ).mean
    return vae.scale_latents(vae_config, mean)

  def distillation(unet_params, vae_params, images):
    return _distillation_gradient(
      images,
      functools.partial(evaluate, unet_params),
      functools.partial(encode, vae_params),
      jnp.asarray(_normal(1, side, side, 4)),
      schedule,
    )

  evaluate_jit, distillation_jit = jax.jit(evaluate), jax.jit(distillation)
  backward = jax.jit(
    jax.grad(lambda images, params: jnp.sum(encode(params, images)))
  )
  t = jnp.array([500, 500])

  def evaluation(n):
    noised = jnp.asarray(_normal(2, n, n, 4))
    return lambda: evaluate_jit(params('unet'), noised, t)

  calls: dict[str, Callable[[], Any]] = {
    f'UNet 2 x {n}x{n}': evaluation(n) for n in sizes.latents
  }
  pixels = sizes.pixels
  calls[f'VAE encoder and gradient {pixels} px'] = lambda: backward(
    images, params('vae')
  )
  calls[f'distillation step {pixels} px'] = lambda: distillation_jit(
    params('unet'), params('vae'), images
  )

  def finished(call: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: jax.block_until_ready(call())

  return {name: finished(call) for name, call in calls.items()}


def _their_calls(sizes: Sizes, dtype: str) -> list[Callable[[], Any]] | None:
  """Return PyTorch's side of every part, in the same order."""
  try:
    import diffusers
    import torch
  except ImportError:
    return None
  place = 'cuda' if torch.cuda.is_available() else 'cpu'
  kind = getattr(torch, dtype)

  def tensor(*shape):
    return torch.tensor(_normal(*shape)).to(place, kind)

  @functools.cache
  def network(name, settings):  # Made when it is first needed.
    made: Any = getattr(diffusers, name)(**getattr(sizes, settings))
    return made.to(place, kind).eval().requires_grad_(False)

  text = tensor(2, 77, sizes.unet['cross_attention_dim'])
  t = torch.tensor([500, 500], device=place)
  images = tensor(1, 3, sizes.pixels, sizes.pixels).requires_grad_()

  def evaluate(x):
    with torch.no_grad():
      return network('UNet2DConditionModel', 'unet')(x, t, text).sample

  def encode():
    images.grad = None
    autoencoder = network('AutoencoderKL', 'vae')
    return 0.18215 * autoencoder.encode(images).latent_dist.mean

  def distillation():
    z = encode()
    eps = torch.randn_like(z)
    x_t = (0.5 * z + 0.75**0.5 * eps).detach()
    without, with_text = evaluate(torch.cat([x_t, x_t])).chunk(2)
    z.backward(without + _GUIDANCE * (with_text - without) - eps)

  calls: list[Callable[[], Any]] = [
    functools.partial(evaluate, tensor(2, 4, n, n)) for n in sizes.latents
  ]
  calls += [lambda: encode().sum().backward(), distillation]

  def whole(call):
    call()
    if place == 'cuda':
      torch.cuda.synchronize()

  return [functools.partial(whole, call) for call in calls]


class Times(NamedTuple):
  """Of one call: seconds, and seconds of all processor cores together."""

  wall: float
  cores: float


def _time(call: Callable[[], Any]) -> Times:
  # Once unseen: after the other side's turn, memory and caches are cold.
  call()
  wall, cores = time.perf_counter(), time.process_time()
  call()
  return Times(time.perf_counter() - wall, time.process_time() - cores)


def _median(times: list[Times]) -> Times:
  return Times(*map(statistics.median, zip(*times)))


def _measure(part: Part, rounds: int) -> dict[str, Any]:
  """Time one part; the sides take turns."""
  began = time.perf_counter()
  part.ours()
  row: dict[str, Any] = {
    'part': part.name,
    'first': time.perf_counter() - began,
  }
  ours, theirs = [], []
  for _ in range(rounds):
    ours.append(_time(part.ours))
    if part.theirs is not None:
      theirs.append(_time(part.theirs))
  row['ours'], row['ours_cores'] = _median(ours)
  if theirs:
    row['pytorch'], row['pytorch_cores'] = _median(theirs)
    row['ratio'] = row['ours'] / row['pytorch']
  return row


def main(argv: list[str]) -> None:
  """Time and print."""
  del argv
  dtype = parallel.compute_dtype(_DTYPE.value)
  sizes = _TINY if _SMALL.value else _FULL
  theirs = _their_calls(sizes, dtype.name)
  device = jax.devices()[0].device_kind
  print(f'{device}, {dtype.name}, {"tiny" if _SMALL.value else "full"} size')
  heads = ''.join(f'{head:>9}' for head in _COLUMNS.values())
  print(f'{"seconds":36}{heads}')
  rows = []
  for index, (name, call) in enumerate(_our_calls(sizes, dtype).items()):
    if _PARTS.value and not name.startswith(tuple(_PARTS.value)):
      continue
    other = None if theirs is None else theirs[index]
    row = _measure(Part(name, call, other), _ROUNDS.value)
    rows.append(row)
    numbers = ''.join(f'{row[key]:9.3f}' for key in _COLUMNS if key in row)
    print(f'{name:36}{numbers}', flush=True)
  if _OUT.value:
    files.write_json(
      _OUT.value,
      {
        'device': device,
        'dtype': dtype.name,
        'small': _SMALL.value,
        'rounds': _ROUNDS.value,
        'jax': jax.__version__,
        'rows': rows,
      },
    )


if __name__ == '__main__':
  flags_lib.run(main)
