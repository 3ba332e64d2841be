"""Jobs in processes that can be killed at any moment.

`python -m tests.killed JOB DATA` imports what a job needs and then forks a
child for every line of its standard input: the imports, most of the time of a
small run, are paid for once. JAX starts its threads in the child only.
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

_ROOT = pathlib.Path(__file__).parents[1]


def toy(data):
  """Return a training of a few numbers that leaves a folder of three files."""
  del data
  import jax
  import jax.numpy as jnp
  import numpy as np
  import optax

  from maskjax.training import (
    files,
    settings,
    state as state_lib,
    task as task_lib,
    trainer,
    workdir,
  )

  tx = optax.adam(1e-2)
  values = {'seed': 1, 'steps': 10, 'log_every': 2, 'checkpoint_every': 1}

  def loss(params, rng, batch, axis_name):
    del axis_name
    return jnp.sum((params - jax.random.normal(rng, (64,)) - batch) ** 2), {}

  def run(folder, resume):
    told = settings.read(trainer.Settings, {**values, 'resume': resume})

    def save(number, state):
      with files.replacing_folder(folder / 'model') as new:
        for name in 'abc':
          array = np.full(9_999, number) + np.asarray(state.params).sum()
          files.write_bytes(new / name, array.tobytes())

    task = task_lib.Task(
      state=state_lib.create(jnp.zeros(64), tx),
      step=jax.jit(state_lib.make_step(loss, tx)),
      batches=lambda step: np.float32(step),
      save=save,
    )
    with workdir.opened(folder, told, resume=resume):
      trainer.fit(task, told, folder)

  return run


def mask(data):
  """Return `generate_mask`, with the model folder in `data`."""
  from maskjax.mask import generate
  from tests.mask import small

  def run(folder, resume):
    fields = {'diffusion.path': data, 'steps': 4, 'resume': resume}
    generate.run(small.settings(**fields), str(folder))

  return run


def source(data):
  """Return `train_source`, with pictures in `data`."""
  from configs import source as source_config
  from maskjax.people_gan import settings as people_settings, training
  from maskjax.training import settings

  def run(folder, resume):
    config = source_config.get_config('tiny')
    config.update(data=data, walk_frames=0, measure_every=0, steps=4)
    config.resume = resume
    training.train(settings.read(people_settings.Settings, config), folder)

  return run


def prior(data):
  """Return `train_prior`, with pictures of 16 pixels in `data`."""
  from configs import prior as prior_config
  from maskjax.prior import settings as prior_settings, training
  from maskjax.training import settings

  training._VOCABULARY_CAPTIONS = 300

  def run(folder, resume):
    config = prior_config.get_config('tiny')
    config.update(
      data=data, sample_size=16, channels=(16,), batch_size=2, vocabulary=530,
      tokens=8, text_features=16, condition_embedding=(8, 16), steps=4,
      resume=resume,
    )  # fmt: skip
    training.train(settings.read(prior_settings.Settings, config), folder)

  return run


def matcher(data):
  """Return `train_matcher`, with heads in `data`."""
  from configs import matcher as matcher_config
  from maskjax.matcher import training
  from maskjax.training import settings

  def run(folder, resume):
    config = matcher_config.get_config('tiny')
    config.update(data=data, steps=4, resume=resume)
    training.train(settings.read(training.Settings, config), folder)

  return run


JOBS = {f.__name__: f for f in (toy, mask, source, prior, matcher)}


def _serve(job, data):
  """Carry out jobs in children, as asked for line by line."""
  run = JOBS[job](data)
  import maskjax.mask.generate  # noqa: F401  (heavy imports, before the forks)

  for line in sys.stdin:
    folder, resume = json.loads(line)
    child = os.fork()
    if not child:
      with (
        contextlib.redirect_stderr(sys.stdout),
        open(os.devnull, 'w') as sink,
      ):
        os.dup2(sink.fileno(), 1)
        run(pathlib.Path(folder), resume)
      os._exit(0)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)


class Server:
  """Runs a job in children of a process that stays."""

  def __init__(self, job, data, cache):
    environment = os.environ | {
      'PYTHONPATH': str(_ROOT),
      'PYTHONWARNINGS': 'ignore',
      'JAX_PLATFORMS': 'cpu',
      'JAX_COMPILATION_CACHE_DIR': str(cache),
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.1',
    }
    self._process = subprocess.Popen(
      [sys.executable, '-m', 'tests.killed', job, str(data)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      env=environment,
      cwd=_ROOT,
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._process.stdin.close()
    self._process.wait()
    self._process.stdout.close()

  def __call__(self, folder, *, resume=False, seconds=None):
    """Run, and kill after some seconds; return the exit code and the time."""
    self._process.stdin.write(json.dumps([str(folder), resume]) + '\n')
    self._process.stdin.flush()
    child = int(self._process.stdout.readline())
    began = time.monotonic()
    if seconds is not None:
      time.sleep(seconds)
      # A child that has ended is waited for by its parent, not by us: its
      # number may be another's only after we have read the line below.
      with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    code = int(self._process.stdout.readline())
    return code, time.monotonic() - began


def left(folder):
  """Return what a run has left that must not depend on how it was broken."""
  from maskjax.training import checkpoint, metrics

  found = {}
  for path in sorted(folder.rglob('*')):
    name = str(path.relative_to(folder))
    if path.name.startswith('step_'):
      steps, where = checkpoint.latest_step(path.parent), path.parent
      if path.name.endswith(f'{steps:08d}'):
        arrays = checkpoint._read(where, steps)[1]
        found[name] = {k: (v.shape, v.tobytes()) for k, v in arrays.items()}
    elif 'step_' not in name and path.suffix == '.jsonl':
      found[name] = [
        {k: v for k, v in line.items() if 'second' not in k}
        for line in metrics.read(path)
      ]
    elif 'step_' not in name and path.is_file() and path.name != 'report.json':
      found[name] = path.read_bytes()
  return found


def survive(server, folder, kills, seed):
  """Kill a job at random moments, go on each time, and compare at the end.

  Args:
    server: a `Server`.
    folder: where to work.
    kills: how many.
    seed: of the moments.

  Returns:
    How many of them found a checkpoint to go on from.
  """
  from maskjax.training import checkpoint

  whole, parts = folder / 'whole', folder / 'parts'
  server(whole)  # compiles
  shutil.rmtree(whole)
  code, seconds = server(whole)
  assert code == 0
  expected = left(whole)
  rng, resumed, done = random.Random(seed), 0, 0
  while done < kills:
    shutil.rmtree(parts, ignore_errors=True)
    code = None
    while code != 0:
      resume = checkpoint.latest_step(parts / 'checkpoints') is not None
      resumed += resume
      until = rng.uniform(0, 1.05 * seconds) if done < kills else None
      code, _ = server(parts, resume=resume, seconds=until)
      assert code in (0, -signal.SIGKILL), (code, resume)
      done += code != 0
    found = left(parts)
    assert found.keys() == expected.keys()
    assert [n for n in found if found[n] != expected[n]] == []
  return resumed


if __name__ == '__main__':
  _serve(*sys.argv[1:])
