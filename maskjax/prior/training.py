"""One training stage of the bundled prior, from pictures to a model folder.

Beside jax, flax (which brings orbax), optax, numpy and this package only the
small jaxtyping, ml_collections, safetensors, tokenizers and tqdm are imported,
so that it also runs on a bare accelerator machine.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import pathlib
import shutil

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, Shaped, UInt8
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
from maskjax.prior import settings as settings_lib
from maskjax.studio import (
  condition as condition_lib,
  maps,
  views as studio_views,
)
from maskjax.training import (
  files,
  loop,
  parallel,
  rates,
  state as state_lib,
  task as task_lib,
  trainer,
  workdir as workdir_lib,
)
from maskjax.weights import archives

# Captions that the vocabulary is learnt from.
_VOCABULARY_CAPTIONS = 20_000
# Of the parameters in a model folder.
_SAVED_DTYPE = 'float16'
# What a resumed run may be told anew.
_MAY_CHANGE = ('steps', 'decay_steps', 'checkpoint_every', 'data')
# Of art.npz, see `head_batches.Art`.
_ART = {
  'images': UInt8[np.ndarray, 'n s s 4'],
  'captions': Shaped[np.ndarray, 'n'],
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
  try:
    data = archives.read_arrays(folder / 'art.npz', _ART)
  except ValueError as error:
    raise ValueError(
      f'{folder / "art.npz"} holds no emoji ({error}); delete it and build it '
      'again'
    ) from error
  return heads, head_batches.Art(**data)


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


def _check_sizes(
  settings: settings_lib.Settings,
  heads: head_images.HeadImages,
  art: head_batches.Art | None,
) -> None:
  """Raise ValueError unless all pictures have the size of the settings."""
  sizes = {'head pictures': heads.rgb.shape[1]}
  if art is not None:
    sizes['emoji'] = art.images.shape[1]
  for name, size in sizes.items():
    if size != settings.sample_size:
      raise ValueError(
        f'the {name} in {settings.data} are {size} pixels wide, but '
        f'sample_size is {settings.sample_size}; build them anew or change '
        'sample_size'
      )


def _check_channels(
  settings: settings_lib.Settings, init: model_lib.DiffusionModel
) -> None:
  """Raise ValueError unless a model paints and is told what we have."""
  channels = model_lib.picture_channels(init)
  numbers = model_lib.label_size(init)
  if (channels, numbers) != (maps.CHANNELS, maps.CAMERA):
    raise ValueError(
      f'init: the model in {settings.init} paints {channels} channels and is '
      f'told {numbers} numbers of a camera; begin from one of '
      f'{maps.CHANNELS} and {maps.CAMERA}, such as the bundled prior'
    )


def _new(
  settings: settings_lib.Settings,
  folder: pathlib.Path,
  art: head_batches.Art | None,
  init: model_lib.DiffusionModel | None,
) -> model_lib.DiffusionModel:
  """Make the model that the stage begins with; its tokenizer is written."""
  out = folder / 'tokenizer'
  if init is not None:
    model = init
    shutil.copytree(pathlib.Path(settings.init) / 'tokenizer', out)
  else:
    rng = np.random.default_rng(settings.seed)
    texts = sample_captions(rng, _VOCABULARY_CAPTIONS, art)
    tokenizer = tokenizer_lib.train(
      texts, out, vocab_size=settings.vocabulary, max_length=settings.tokens
    )
    model = _create(settings, tokenizer)
  if 'controlnet' in settings.trained:
    model = pretraining.add_controlnet(
      jax.random.key(settings.seed + 1),
      model,
      conditioning_channels=condition_lib.CONDITION_CHANNELS,
      embedding_channels=settings.condition_embedding,
    )
  return model


def _save(folder: pathlib.Path, model: model_lib.DiffusionModel) -> None:
  """Write the networks of a model folder that has its tokenizer."""
  model_lib.save(folder, model, scheduler_config=SCHEDULER, dtype=_SAVED_DTYPE)


def _begin(
  settings: settings_lib.Settings,
  folder: pathlib.Path,
  art: head_batches.Art | None,
  init: model_lib.DiffusionModel | None,
) -> model_lib.DiffusionModel:
  """Take the model that the stage begins with, and keep it in the run.

  What a stage begins from may be gone when it is resumed, and so may the
  model that it leaves.
  """
  if settings.resume:
    return model_lib.load(workdir_lib.begin(folder))
  with files.replacing_folder(workdir_lib.begin(folder)) as new:
    model = _new(settings, new, art, init)
    _save(new, model)
  return model


def _create(
  settings: settings_lib.Settings, tokenizer: tokenizer_lib.Tokenizer
) -> model_lib.DiffusionModel:
  """Make a model with random weights."""
  levels = len(settings.channels)
  folded = maps.CHANNELS * settings.pixel_unshuffle**2
  unet_config = unet.UNetConfig.from_dict(
    {
      'sample_size': settings.sample_size // settings.pixel_unshuffle,
      'in_channels': folded,
      'out_channels': folded,
      'block_out_channels': list(settings.channels),
      'down_block_types': ['DownBlock2D']
      + ['CrossAttnDownBlock2D'] * (levels - 1),
      'up_block_types': ['CrossAttnUpBlock2D'] * (levels - 1) + ['UpBlock2D'],
      'layers_per_block': 1,
      'attention_head_dim': settings.attention_heads,
      'cross_attention_dim': settings.text_features,
      'norm_num_groups': settings.norm_groups,
      'class_embed_type': 'projection',
      'projection_class_embeddings_input_dim': maps.CAMERA,
    }
  )
  text_config = clip.ClipTextConfig.from_dict(
    {
      'vocab_size': tokenizer.vocab_size,
      'hidden_size': settings.text_features,
      'intermediate_size': 4 * settings.text_features,
      'num_hidden_layers': settings.text_layers,
      'num_attention_heads': settings.attention_heads,
      'max_position_embeddings': tokenizer.max_length,
      'eos_token_id': tokenizer.end_id,
      'bos_token_id': tokenizer.start_id,
      'pad_token_id': tokenizer.pad_id,
    }
  )
  return pretraining.create(
    jax.random.key(settings.seed),
    unet_config=unet_config,
    text_config=text_config,
    scheduler_config=SCHEDULER,
    tokenizer=tokenizer,
    sample_size=settings.sample_size,
    pixel_unshuffle=settings.pixel_unshuffle,
  )


def learning_rate(settings: settings_lib.Settings) -> optax.Schedule:
  """Return a rate that warms up, stays, and falls linearly at the end."""
  return rates.trapezoid(
    settings.learning_rate,
    settings.steps,
    warmup=settings.warmup_steps,
    decay=settings.decay_steps,
  )


def _optimizer(
  settings: settings_lib.Settings,
) -> optax.GradientTransformation:
  return optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(
      learning_rate(settings), b2=0.99, weight_decay=settings.weight_decay
    ),
  )


def _batches(
  settings: settings_lib.Settings,
  data: tuple[head_images.HeadImages, head_batches.Art | None],
  tokenizer: tokenizer_lib.Tokenizer,
) -> Callable[[int], head_batches.Batch]:
  """Return the batch of each step, drawn from the seed and its number."""
  heads, art = data
  encode = functools.partial(tokenizer_lib.encode, tokenizer)

  def batch(step: int) -> head_batches.Batch:
    rng = np.random.default_rng([settings.seed, step])
    return head_batches.draw(
      rng,
      heads,
      encode,
      batch_size=settings.batch_size,
      art=art,
      cut='controlnet' in settings.trained,
      views=settings.views,
    )[0]

  return batch


def _prepare(
  rng: Key[Array, ''], row: head_batches.Batch
) -> pretraining.Example:
  """Return what is learnt of one row of a batch."""
  composed = head_batches.compose(rng, row)
  return pretraining.Example(
    picture=composed.picture,
    condition=composed.condition,
    weights=composed.weights,
    label=composed.label,
    clean=jnp.asarray(row.clean),
  )


def _step(
  settings: settings_lib.Settings,
  model: model_lib.DiffusionModel,
  tx: optax.GradientTransformation,
  devices: Sequence[jax.Device],
) -> loop.StepFn:
  """Return the step of the trained networks beside the frozen ones."""
  networks = {
    name: module.clone(dtype=jnp.dtype(settings.dtype))
    for name, module in model.networks.items()
  }
  build = functools.partial(
    pretraining.make_step,
    dataclasses.replace(model, networks=flax.core.freeze(networks)),
    tx,
    _prepare,
    trained=settings.trained,
    ema_decay=settings.ema_decay,
    downscale=settings.downscale,
  )
  # What stays as it is trains as it will be read again.
  frozen = jax.tree.map(
    lambda x: x.astype(_SAVED_DTYPE).astype(x.dtype),
    {k: v for k, v in model.params.items() if k not in settings.trained},
  )
  single, together = (
    task_lib.with_shared(build(views=views), frozen, devices=devices)
    for views in (1, settings.views)
  )

  def step(state, rng, batch):
    # Known on the host: a choice within the step would be slow.
    chosen = together if batch.together[0] else single
    return chosen(state, rng, batch)

  return step


def _task(
  settings: settings_lib.Settings,
  folder: pathlib.Path,
  data: tuple[head_images.HeadImages, head_batches.Art | None],
  model: model_lib.DiffusionModel,
) -> task_lib.Task:
  """Return the training of the networks that the settings name."""
  tx = _optimizer(settings)
  # The views of a group stay on one device.
  devices = parallel.usable_devices(settings.batch_size // settings.views)

  def save(number: int, state: state_lib.TrainState) -> None:
    del number
    averaged = jax.device_get({**model.params, **(state.ema_params or {})})
    with files.replacing_folder(folder / 'model') as new:
      shutil.copytree(
        workdir_lib.begin(folder) / 'tokenizer', new / 'tokenizer'
      )
      _save(new, dataclasses.replace(model, params=averaged))

  trained = {name: model.params[name] for name in settings.trained}
  return task_lib.Task(
    state=state_lib.create(trained, tx, ema=True),
    step=_step(settings, model, tx, devices),
    batches=_batches(settings, data, model.tokenizer),
    devices=devices,
    save=save,
  )


def train(settings: settings_lib.Settings, directory: files.PathLike) -> None:
  """Run a stage; `directory/model` holds the averaged networks so far.

  Args:
    settings: settings of the stage, see configs/prior.py.
    directory: work folder.

  Raises:
    FileNotFoundError: there is no data, or no run to resume.
    ValueError: the data, the model folder or the work folder does not fit the
      settings.
  """
  # What cannot be loaded must not leave a folder behind.
  data = load_data(pathlib.Path(settings.data))
  _check_sizes(settings, *data)
  init = None
  if settings.init and not settings.resume:
    init = model_lib.load(settings.init)
    _check_channels(settings, init)
  opened = workdir_lib.opened(
    directory, settings, resume=settings.resume, may_change=_MAY_CHANGE
  )
  with opened as folder:
    model = _begin(settings, folder, data[1], init)
    trainer.fit(_task(settings, folder, data, model), settings, folder)
