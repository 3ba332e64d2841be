"""Words to a mask: the whole job, from a prompt to files (patent Fig. 6).

The parts, in order: start shape, adjusted texts, first image, painted start
(`prepare`), the loop (`optimize`), and the files that a user gets (`export`).
Every part is a pure function of the config and its seed, so a run can be
broken off, resumed, continued ("more training") and taken back.
"""

from collections.abc import Callable
import functools
import json
import pathlib
import time
from typing import Any, NamedTuple
import zipfile

import jax
import jax.numpy as jnp
from jaxtyping import UInt8
import ml_collections
import numpy as np

import maskjax
from maskjax.diffusion import model as model_lib
from maskjax.geometry import (
  color,
  mesh as mesh_lib,
  mesh_io,
  soundness,
  template as template_lib,
)
from maskjax.mask import (
  checks,
  control,
  first_image,
  preview,
  repair,
  sdf,
  step as step_lib,
  surface as surface_lib,
  texture,
  views,
)
from maskjax.training import (
  checkpoint,
  files,
  loop,
  media,
  metrics as metrics_lib,
  parallel,
  progress,
  workdir as workdir_lib,
)
from maskjax.weights import bundled

# Fields that "more training", "back" and another export may change.
_MAY_CHANGE = (
  'steps',
  'seconds',
  'loss_threshold',
  'log_every',
  'checkpoint_every',
  'formats',
  'preview_size',
  'turntable_frames',
  'baked_size',
  'sdf.headroom',
)

# Fields that say what to do with a run rather than what it is.
_IGNORED = ('resume', 'back')


StepFn = Callable[..., tuple[step_lib.MaskState, dict[str, Any]]]


class Job(NamedTuple):
  """Everything that is ready before the loop begins."""

  surface: surface_lib.Surface
  guide: step_lib.Guide
  texts: list[str]
  first: first_image.FirstImage | None
  start: surface_lib.MaskParams


def load_template(config: ml_collections.ConfigDict) -> template_lib.Template:
  """Return the start shape that the config names."""
  if config.template in template_lib.KINDS:
    return template_lib.mask_template(
      config.template, edge_length=config.edge_length
    )
  if not pathlib.Path(config.template).suffix:
    raise ValueError(
      f'template {config.template!r} is neither one of '
      f'{", ".join(template_lib.KINDS)} nor a mesh file'
    )
  sizes = {'uv': config.texture_size, 'hashgrid': config.baked_size}
  fixed = config.geometry == 'vertices'
  return template_lib.from_file(
    config.template, atlas_size=sizes.get(config.texture) if fixed else None
  )


def load_model(config: ml_collections.ConfigDict) -> model_lib.DiffusionModel:
  """Return the diffusion model at the config's path, or the bundled one.

  It is frozen, so its parameters are kept in the type that it computes in.
  """
  dtype = parallel.compute_dtype(config.diffusion.dtype)
  model = model_lib.load(
    config.diffusion.path or bundled.bundled_path('prior'),
    controlnets=[p for p in config.controlnet.path.split(',') if p],
    dtype=dtype,
    param_dtype=dtype.name,
    variant=config.diffusion.variant or None,
    remat=config.diffusion.remat,
  )
  control.shown(model, config.controlnet.shows)
  count = len(model_lib.controlnet_configs(model))
  if len(config.controlnet.scales) not in (1, count):
    raise ValueError(
      f'controlnet.scales has {len(config.controlnet.scales)} numbers for '
      f'{count} ControlNets; give one for all, or one for each'
    )
  if config.condition.normal_percentage and not count:
    raise ValueError(
      'the diffusion model has no ControlNet to show normals and height to; '
      'give --config.controlnet.path=FOLDER, or '
      '--config.condition.normal_percentage=0'
    )
  return model


def prepare(
  config: ml_collections.ConfigDict,
  *,
  model: model_lib.DiffusionModel | None = None,
  template: template_lib.Template | None = None,
  paint: bool = True,
) -> Job:
  """Build the start shape, the texts and the painted start.

  Args:
    config: configs/mask.py.
    model: a loaded diffusion model; None loads the config's.
    template: a loaded start shape; None loads the config's.
    paint: whether to sample the first image; a resumed run needs none.
  """
  model = load_model(config) if model is None else model
  template = load_template(config) if template is None else template
  pin_rim = config.optimizer.pin_rim
  volume = None
  if config.geometry == 'sdf':
    volume = sdf.create(template, config.sdf, pin_rim=pin_rim)
  surface = surface_lib.create(
    template,
    smoothing=config.optimizer.smoothing,
    pin_rim=pin_rim,
    texture=config.texture,
    texture_size=config.texture_size,
    volume=volume,
  )
  # With a volume, the start shape as that shows it.
  template = surface.template
  texts = views.adjusted_texts(
    config.prompt, config.views.prompt_form, config.views.material
  )
  front = views.front_text()
  encoded = views.encode_texts(model, [*texts, config.distill.negative_prompt])
  guide = step_lib.Guide(model, encoded[:-1], encoded[-1])
  first, colors = None, jnp.full_like(template.mesh.vertices, 0.5)
  if paint:
    first = first_image.generate(
      jax.random.fold_in(jax.random.key(config.seed), 1),
      model,
      template,
      guide.texts[front],
      guide.negative,
      config.first_image,
      shows=config.controlnet.shows,
    )
    colors, _ = texture.project(template, first)
  start = surface_lib.initial_params(surface, colors)
  return Job(surface, guide, texts, first, start)


def _with_words(texts: list[str], values: dict[str, Any]) -> dict[str, Any]:
  """Replace the rows of the table of texts by the texts themselves."""
  rows = np.atleast_1d(values['text'])
  return values | {'text': [texts[row] for row in rows]}


def build_step(
  surface: surface_lib.Surface, config: ml_collections.ConfigDict
) -> StepFn:
  """Return the step of the loop over all devices; it serves every prompt."""
  return parallel.data_parallel(
    step_lib.make_step(surface, step_lib.optimizer(config), config),
    devices=parallel.usable_devices(config.views.count),
    shared=True,
  )


def _check_fullness(step: int, values: dict[str, Any]) -> None:
  """Stop a run whose surface has outgrown its lists."""
  if values.get('fullness', 0.0) > 1.0:
    raise ValueError(
      f'at step {step} the surface needs {values["fullness"]:.2f} times the '
      'triangles that were set aside, and was not trained further; continue '
      'with --config.resume=true and a larger --config.sdf.headroom'
    )


def optimize(
  job: Job,
  config: ml_collections.ConfigDict,
  folder: pathlib.Path | None = None,
  *,
  step: StepFn | None = None,
  name: str = 'mask',
  show_progress: bool = True,
) -> loop.Outcome:
  """Run the loop.

  Args:
    job: from `prepare`.
    config: configs/mask.py.
    folder: where checkpoints and metrics go; None keeps neither.
    step: from `build_step`, where several jobs share one; None builds it.
    name: of the progress bar.
    show_progress: whether to draw it.

  Returns:
    The last state and why the loop ended.
  """
  tx = step_lib.optimizer(config)
  state = step_lib.create_state(job.start, tx)
  if folder is not None and config.resume:
    state = checkpoint.restore(folder / 'checkpoints', state)
  begin = int(state.step)
  if begin > config.steps:
    raise ValueError(
      f'{folder} is at step {begin} already, and steps is {config.steps}; '
      f'give more, or go back by --config.back={config.steps}'
    )
  devices = parallel.usable_devices(config.views.count)
  mapped = step or build_step(job.surface, config)
  guide = parallel.replicate(
    job.guide._replace(first=job.first), devices=devices
  )
  numbers = np.arange(config.views.count, dtype=np.int32)

  def step_fn(state, rng, batch):
    return mapped(state, rng, batch, guide)

  log: list[Callable[[int, dict[str, Any]], None]] = [_check_fullness]
  if folder is not None:
    path = folder / 'metrics.jsonl'
    metrics_lib.truncate(path, begin)
    log.append(
      lambda step, values: metrics_lib.append(
        path, step, _with_words(job.texts, values)
      )
    )
  save = None
  if folder is not None:
    save = functools.partial(checkpoint.save, folder / 'checkpoints')

  def is_low(step, values):
    del step
    return values['smoothed_loss'] < config.loss_threshold

  with progress.bar(
    config.steps if show_progress else None, start=begin, name=name
  ) as report:
    return loop.run(
      step_fn,
      parallel.replicate(state, devices=devices),
      jax.random.key(config.seed),
      lambda step: numbers,
      steps=config.steps,
      seconds=config.seconds or None,
      stop=is_low if config.loss_threshold else None,
      log=[*log, *([report] if show_progress else [])],
      log_every=config.log_every,
      checkpoint=save,
      checkpoint_every=config.checkpoint_every,
    )


def finish(
  job: Job, state: step_lib.MaskState, config: ml_collections.ConfigDict
) -> tuple[mesh_lib.Mesh, soundness.Soundness]:
  """Return the mask as a sound mesh, and the report of its soundness."""
  mesh = surface_lib.assemble(
    job.surface, state.params, bound=config.optimizer.offset_bound
  )
  template = job.surface.template
  if job.surface.volume is None:
    rim = template.rim if config.optimizer.pin_rim else None
    mesh = repair.unfold(mesh, template)
    sound = soundness.report(mesh, template.mesh, rim)
  else:
    sound = soundness.report(mesh)
  mesh = surface_lib.bake(
    job.surface, state.params, mesh, size=config.baked_size
  )
  return mesh, sound


def _extras(config: ml_collections.ConfigDict, steps: int) -> dict[str, Any]:
  """Say in the mask's file how it was made; a resumed run says the same."""
  fields = json.loads(config.to_json())
  for name in _MAY_CHANGE + _IGNORED:
    fields.pop(name, None)
  return {
    'prompt': config.prompt,
    'seed': config.seed,
    'steps': steps,
    'config': fields,
    'generator': f'maskjax {maskjax.__version__}',
  }


def draw(
  job: Job, mesh: mesh_lib.Mesh, config: ml_collections.ConfigDict
) -> UInt8[np.ndarray, 'h w 3']:
  """Return the preview of a finished mask: start, first image, result."""
  start = surface_lib.assemble(
    job.surface, job.start, bound=config.optimizer.offset_bound
  )
  first = None if job.first is None else job.first.image
  return preview.mask_sheet(
    config.prompt, start, first, mesh, size=config.preview_size
  )


def export(
  folder: pathlib.Path,
  job: Job,
  state: step_lib.MaskState,
  config: ml_collections.ConfigDict,
) -> dict[str, Any]:
  """Write the mask, its pictures and its video; returns their description."""
  mesh, sound = finish(job, state, config)
  extras = _extras(config, int(state.step))
  written = []
  for suffix in config.formats:
    path = folder / f'mask.{suffix}'
    mesh_io.save_mesh(path, mesh, extras=extras)
    written.append(path)
  size = config.preview_size
  media.save_png(folder / 'preview.png', draw(job, mesh, config))
  preview.save_turntable(
    folder / 'turntable.mp4',
    mesh,
    frames=config.turntable_frames,
    size=size + size // 2,
  )
  return {
    'files': {path.name: path.stat().st_size for path in written},
    'soundness': sound._asdict(),
  }


def _remember_start(folder: pathlib.Path, job: Job) -> None:
  """Keep the first image and the painted colours for later exports."""
  if job.first is None:
    return
  image = color.to_bytes(np.asarray(job.first.image))
  media.save_png(folder / 'first_image.png', image)
  arrays = {
    f'colors_{i}': np.asarray(leaf)
    for i, leaf in enumerate(jax.tree.leaves(job.start.colors))
  }
  arrays['image'] = np.asarray(job.first.image)
  arrays['mask'] = np.asarray(job.first.mask)
  with files.replacing(folder / 'start.npz') as temporary:
    np.savez(temporary, **arrays)  # type: ignore[arg-type]


def _recall_start(folder: pathlib.Path, job: Job) -> Job:
  """Undo `_remember_start`."""
  path = folder / 'start.npz'
  if not path.is_file():
    raise ValueError(
      f'{path} is missing, so the run cannot be resumed; begin it anew in '
      'another workdir'
    )
  kept, tree = jax.tree.flatten(job.start.colors)
  try:
    with path.open('rb') as file, np.load(file) as data:
      leaves = [jnp.asarray(data[f'colors_{i}']) for i in range(len(kept))]
      image, mask = jnp.asarray(data['image']), jnp.asarray(data['mask'])
  except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(
      f'{path} is damaged ({error}), so the run cannot be resumed; begin it '
      'anew in another workdir'
    ) from error
  return job._replace(
    first=first_image.FirstImage(image, mask),
    start=job.start._replace(colors=jax.tree.unflatten(tree, leaves)),
  )


@parallel.explain_memory(
  'lower --config.views.count, or set --config.diffusion.remat=true and '
  '--config.diffusion.dtype=bfloat16'
)
def run(config: ml_collections.ConfigDict, directory: str) -> dict[str, Any]:
  """Make a mask in a work folder, or continue or take back one that is there.

  Args:
    config: configs/mask.py.
    directory: work folder.

  Returns:
    What is written to report.json.

  Raises:
    ValueError, FileNotFoundError, FloatingPointError: bad input or a run
      that failed; one line.
  """
  checks.check(config)
  began = time.monotonic()
  # What cannot be loaded must not leave a folder behind.
  model, template = load_model(config), load_template(config)
  resume = config.resume or bool(config.back)
  folder = workdir_lib.prepare(
    directory,
    config,
    resume=resume,
    may_change=_MAY_CHANGE,
    ignored=_IGNORED,
  )
  progress.say(f'mask: {"preparing" if resume else "painting the first image"}')
  job = prepare(config, model=model, template=template, paint=not resume)
  if resume:
    job = _recall_start(folder, job)
  else:
    _remember_start(folder, job)
  prepared = time.monotonic()
  if config.back:
    tx = step_lib.optimizer(config)
    empty = step_lib.create_state(job.start, tx)
    state = checkpoint.restore(folder / 'checkpoints', empty, config.back)
    reason = 'back'
  else:
    outcome = optimize(job, config, folder)
    state, reason = outcome.state, outcome.reason
  looped = time.monotonic()
  if reason == 'interrupted':
    raise KeyboardInterrupt
  progress.say('mask: writing the files')
  report = {
    'prompt': config.prompt,
    'seed': config.seed,
    'steps': int(state.step),
    'ended_by': reason,
    'smoothed_loss': float(state.smoothed_loss),
    **export(folder, job, state, config),
    'seconds': {
      'prepare': round(prepared - began, 2),
      'loop': round(looped - prepared, 2),
      'export': round(time.monotonic() - looped, 2),
    },
    'versions': {'maskjax': maskjax.__version__, 'jax': jax.__version__},
    'device': str(jax.devices()[0].device_kind),
  }
  files.write_json(folder / 'report.json', report)
  return report
