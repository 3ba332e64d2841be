"""One training stage of the bundled prior, from pictures to a model folder.

Beside jax, flax (which brings orbax), optax, numpy and this package only the
small jaxtyping, ml_collections, safetensors, tokenizers and tqdm are imported,
so that it also runs on a bare accelerator machine.
"""

from collections.abc import Callable
import dataclasses
import functools
import math
import pathlib
import shutil

import flax
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from maskjax.data.creatures import (
  batches as head_batches,
  captions,
  creatures,
  head_images,
)
from maskjax.diffusion import (
  clip,
  model as model_lib,
  pretraining,
  tokenizer as tokenizer_lib,
  unet,
)
from maskjax.studio import condition as condition_lib, views as studio_views
from maskjax.training import (
  checkpoint,
  loop,
  metrics as metrics_lib,
  parallel,
  progress,
  rates,
  state as state_lib,
  workdir as workdir_lib,
)

# Captions that the vocabulary is learnt from.
_VOCABULARY_CAPTIONS = 20_000
# Of the parameters in a model folder.
_SAVED_DTYPE = 'float16'
_NETWORKS = ('unet', 'text_encoder', 'controlnet')
_DTYPES = ('float32', 'bfloat16')
_LEAST = {
  'steps': 1,
  'batch_size': 1,
  'log_every': 1,
  'checkpoint_every': 1,
  'downscale': 1,
  'warmup_steps': 0,
  'decay_steps': 0,
  'learning_rate': 0.0,
  'weight_decay': 0.0,
  'ema_decay': 0.0,
}
SCHEDULER = {
  '_class_name': 'DDIMScheduler',
  'num_train_timesteps': 1000,
  'beta_schedule': 'squaredcos_cap_v2',
  'prediction_type': 'v_prediction',
  'timestep_spacing': 'trailing',
  'clip_sample': True,
  'set_alpha_to_one': True,
  'rescale_betas_zero_snr': False,
}


def load_data(
  folder: pathlib.Path,
) -> tuple[head_images.HeadImages, head_batches.Art | None]:
  """Read the head shards of a data folder, and its emoji if there are any."""
  shards = list(folder.glob('heads-*.npz'))
  if not shards:
    raise FileNotFoundError(
      f'{folder} holds no head pictures (heads-*.npz); build them with '
      f'python -m experiments.build_prior_data --workdir={folder}'
    )
  heads = head_images.load(shards)
  if not (folder / 'art.npz').exists():
    return heads, None
  with np.load(folder / 'art.npz') as data:
    return heads, head_batches.Art(data['images'], data['captions'])


def sample_captions(
  rng: np.random.Generator, count: int, art: head_batches.Art | None
) -> list[str]:
  """Draw captions of every kind, for learning the vocabulary."""
  texts = [] if art is None else [str(text) for text in art.captions]
  for index in range(count):
    kind = creatures.KINDS[index % len(creatures.KINDS)]
    chosen = tuple(
      rng.choice(creatures.MODIFIERS, rng.integers(0, 3), replace=False)
    )
    view = (rng.uniform(-80, 80), rng.uniform(-30, 45))
    light = studio_views.LIGHTINGS[rng.integers(len(studio_views.LIGHTINGS))]
    texts.append(
      captions.caption(kind, chosen, view=view, light=light, rng=rng)
    )
  return texts


def _check_fields(config: ml_collections.ConfigDict) -> None:
  """Raise ValueError where a field cannot be."""
  unknown = sorted(set(config.trained) - set(_NETWORKS))
  if unknown or not config.trained:
    raise ValueError(
      f'trained names {", ".join(unknown) or "nothing"}; expected some of '
      f'{", ".join(_NETWORKS)}'
    )
  if config.dtype not in _DTYPES:
    raise ValueError(
      f'dtype {config.dtype!r} is not one of {", ".join(_DTYPES)}'
    )
  for name, least in _LEAST.items():
    if not least <= config[name] < math.inf:
      raise ValueError(f'{name} is {config[name]}; expected >= {least}')


def _check_sizes(
  config: ml_collections.ConfigDict,
  heads: head_images.HeadImages,
  art: head_batches.Art | None,
) -> None:
  """Raise ValueError unless all pictures have the size of the config."""
  sizes = {'head pictures': heads.rgb.shape[1]}
  if art is not None:
    sizes['emoji'] = art.images.shape[1]
  for name, size in sizes.items():
    if size != config.sample_size:
      raise ValueError(
        f'the {name} in {config.data} are {size} pixels wide, but sample_size '
        f'is {config.sample_size}; build them anew or change sample_size'
      )


def _begin(
  config: ml_collections.ConfigDict,
  folder: pathlib.Path,
  art: head_batches.Art | None,
  init: model_lib.DiffusionModel | None,
) -> model_lib.DiffusionModel:
  """Take the model that the stage begins from, or make a new one."""
  if config.resume:
    # What a stage begins from may be gone by then; the rest is in the run.
    if checkpoint.latest_step(folder / 'checkpoints') is None:
      raise FileNotFoundError(
        f'{folder} holds no checkpoint to resume from; leave out resume=true'
      )
    return model_lib.load(folder / 'model')
  out = folder / 'model' / 'tokenizer'
  if init is not None:
    model = init
    out.mkdir(parents=True, exist_ok=True)
    for path in (pathlib.Path(config.init) / 'tokenizer').iterdir():
      shutil.copyfile(path, out / path.name)
  else:
    rng = np.random.default_rng(config.seed)
    texts = sample_captions(rng, _VOCABULARY_CAPTIONS, art)
    tokenizer = tokenizer_lib.train(
      texts, out, vocab_size=config.vocabulary, max_length=config.tokens
    )
    model = _create(config, tokenizer)
  if 'controlnet' in config.trained:
    model = pretraining.add_controlnet(
      jax.random.key(config.seed + 1),
      model,
      conditioning_channels=condition_lib.CONDITION_CHANNELS,
      embedding_channels=config.condition_embedding,
    )
  return model


def _create(
  config: ml_collections.ConfigDict, tokenizer: tokenizer_lib.Tokenizer
) -> model_lib.DiffusionModel:
  """Make a model with random weights."""
  levels = len(config.channels)
  folded = 3 * config.pixel_unshuffle**2
  unet_config = unet.UNetConfig.from_dict(
    {
      'sample_size': config.sample_size // config.pixel_unshuffle,
      'in_channels': folded,
      'out_channels': folded,
      'block_out_channels': list(config.channels),
      'down_block_types': ['DownBlock2D']
      + ['CrossAttnDownBlock2D'] * (levels - 1),
      'up_block_types': ['CrossAttnUpBlock2D'] * (levels - 1) + ['UpBlock2D'],
      'layers_per_block': 1,
      'attention_head_dim': config.attention_heads,
      'cross_attention_dim': config.text_features,
      'norm_num_groups': config.norm_groups,
    }
  )
  text_config = clip.ClipTextConfig.from_dict(
    {
      'vocab_size': tokenizer.vocab_size,
      'hidden_size': config.text_features,
      'intermediate_size': 4 * config.text_features,
      'num_hidden_layers': config.text_layers,
      'num_attention_heads': config.attention_heads,
      'max_position_embeddings': tokenizer.max_length,
      'eos_token_id': tokenizer.end_id,
      'bos_token_id': tokenizer.start_id,
      'pad_token_id': tokenizer.pad_id,
    }
  )
  return pretraining.create(
    jax.random.key(config.seed),
    unet_config=unet_config,
    text_config=text_config,
    scheduler_config=SCHEDULER,
    tokenizer=tokenizer,
    sample_size=config.sample_size,
    pixel_unshuffle=config.pixel_unshuffle,
  )


def learning_rate(config: ml_collections.ConfigDict) -> optax.Schedule:
  """Return a rate that warms up, stays, and falls linearly at the end."""
  return rates.trapezoid(
    config.learning_rate,
    config.steps,
    warmup=config.warmup_steps,
    decay=config.decay_steps,
  )


def _optimizer(
  config: ml_collections.ConfigDict,
) -> optax.GradientTransformation:
  return optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(
      learning_rate(config), b2=0.99, weight_decay=config.weight_decay
    ),
  )


def _batches(
  config: ml_collections.ConfigDict,
  data: tuple[head_images.HeadImages, head_batches.Art | None],
  tokenizer: tokenizer_lib.Tokenizer,
) -> Callable[[int], head_batches.Batch]:
  heads, art = data
  encode = functools.partial(tokenizer_lib.encode, tokenizer)

  def batch(step: int) -> head_batches.Batch:
    rng = np.random.default_rng([config.seed, step])
    return head_batches.draw(
      rng,
      heads,
      encode,
      batch_size=config.batch_size,
      art=art,
      cut='controlnet' in config.trained,
    )[0]

  return batch


def train(config: ml_collections.ConfigDict, directory: str) -> None:
  """Run a stage; `directory/model` holds the averaged networks so far.

  Args:
    config: see configs/prior.py.
    directory: work folder.

  Raises:
    ValueError, FileNotFoundError: bad config, data or model folder.
  """
  _check_fields(config)
  # What cannot be loaded must not leave a folder behind.
  data = load_data(pathlib.Path(config.data))
  _check_sizes(config, *data)
  init = None
  if config.init and not config.resume:
    init = model_lib.load(config.init)
  folder = workdir_lib.prepare(
    directory,
    config,
    resume=config.resume,
    may_change=('steps', 'decay_steps', 'checkpoint_every', 'data'),
  )
  model = _begin(config, folder, data[1], init)
  tx = _optimizer(config)
  trained = {name: model.params[name] for name in config.trained}
  state = state_lib.create(trained, tx, ema=True)
  if config.resume:
    state = checkpoint.restore(folder / 'checkpoints', state)
  networks = {
    name: module.clone(dtype=jnp.dtype(config.dtype))
    for name, module in model.networks.items()
  }
  update = pretraining.make_step(
    dataclasses.replace(model, networks=flax.core.freeze(networks)),
    tx,
    head_batches.compose,
    trained=config.trained,
    ema_decay=config.ema_decay,
    downscale=config.downscale,
  )
  devices = parallel.usable_devices(config.batch_size)
  mapped = parallel.data_parallel(
    update, devices=devices, donate=True, shared=True
  )
  # What stays as it is trains as it will be read again.
  frozen = parallel.replicate(
    jax.tree.map(
      lambda x: x.astype(_SAVED_DTYPE).astype(x.dtype),
      {k: v for k, v in model.params.items() if k not in config.trained},
    ),
    devices=devices,
  )

  def step(state, rng, batch):
    return mapped(state, rng, batch, frozen)

  def save(number: int, state: state_lib.TrainState) -> None:
    # The model first: a run is resumed from a checkpoint, which then has one.
    averaged = jax.device_get({**model.params, **(state.ema_params or {})})
    model_lib.save(
      folder / 'model',
      dataclasses.replace(model, params=averaged),
      scheduler_config=SCHEDULER,
      dtype=_SAVED_DTYPE,
    )
    checkpoint.save(folder / 'checkpoints', number, state, keep=1)

  metrics_path = folder / 'metrics.jsonl'
  metrics_lib.truncate(metrics_path, int(state.step))
  log = functools.partial(metrics_lib.append, metrics_path)
  with progress.bar(config.steps, start=int(state.step)) as report:
    loop.run(
      step,
      parallel.replicate(state, devices=devices),
      jax.random.key(config.seed),
      _batches(config, data, model.tokenizer),
      steps=config.steps,
      log=[log, report],
      log_every=config.log_every,
      checkpoint=save,
      checkpoint_every=config.checkpoint_every,
    )
