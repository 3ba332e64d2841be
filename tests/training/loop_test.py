import functools
import os
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.training import checkpoint, loop, metrics, state

_TX = optax.adam(1e-2)


@jax.jit
def _step(train, rng, batch):
  """Fit w to noisy batches."""
  noise = jax.random.normal(rng, (3,))
  loss, grads = jax.value_and_grad(
    lambda p: jnp.sum((p['w'] - noise - batch) ** 2)
  )(train.params)
  return state.apply_gradients(train, grads, _TX, ema_decay=0.9), {'loss': loss}


def _start():
  return state.create({'w': jnp.zeros(3)}, _TX, ema=True)


def _batch(step):
  return np.full(3, 0.1 * step, np.float32)


def _counter(train, rng, batch):
  """Return a step without arithmetic: for the bookkeeping tests."""
  del rng, batch
  return train.replace(step=train.step + 1), {'loss': 1.0 * train.step}


def _same(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


def test_resumed_run_equals_unbroken_run_bit_for_bit(tmp_path):
  rng = jax.random.key(1)
  logs = [tmp_path / 'unbroken.jsonl', tmp_path / 'resumed.jsonl']

  def run(train, steps, log, folder):
    return loop.run(
      _step,
      train,
      rng,
      _batch,
      steps=steps,
      log=[functools.partial(metrics.append, log)],
      log_every=2,
      checkpoint=functools.partial(checkpoint.save, tmp_path / folder),
    ).state

  unbroken = run(_start(), 10, logs[0], 'a')
  run(_start(), 6, logs[1], 'b')
  resumed = run(checkpoint.restore(tmp_path / 'b', _start()), 10, logs[1], 'b')
  _same(unbroken, resumed)
  assert unbroken.step == 10
  read = [[(m['step'], m['loss']) for m in metrics.read(p)] for p in logs]
  assert read[0] == read[1]
  assert [step for step, _ in read[0]] == [2, 4, 6, 8, 10]


def test_calls_come_at_their_steps():
  logged, saved, hooked = [], [], []
  outcome = loop.run(
    _counter,
    _start(),
    jax.random.key(0),
    steps=7,
    log=[lambda step, values: logged.append((step, values['loss']))],
    log_every=3,
    checkpoint=lambda step, _: saved.append(step),
    checkpoint_every=5,
    hooks=[loop.Hook(2, lambda step, s: hooked.append((step, int(s.step))))],
  )
  assert outcome.reason == 'steps'
  assert logged == [(3, 2.0), (6, 5.0), (7, 6.0)]
  assert saved == [5, 7]
  assert hooked == [(2, 2), (4, 4), (6, 6)]


def test_finished_run_does_nothing():
  train = _start().replace(step=jnp.array(5))
  outcome = loop.run(
    _counter, train, jax.random.key(0), steps=5, checkpoint=pytest.fail
  )
  assert outcome.state is train and outcome.step == 5


def test_each_step_has_its_own_key():
  drawn = []

  def step(train, rng, batch):
    drawn.append(jax.random.key_data(rng).tolist())
    return _counter(train, rng, batch)

  loop.run(step, _start(), jax.random.key(0), steps=3)
  rng = jax.random.key(0)
  expected = [jax.random.key_data(jax.random.fold_in(rng, i)) for i in range(3)]
  assert drawn == [key.tolist() for key in expected]


@pytest.mark.parametrize('log_every', [1, 4, 100])
def test_nan_names_step_and_key_and_is_never_saved(log_every):
  def step(train, rng, batch):
    train, _ = _counter(train, rng, batch)
    return train, {'fine': 1.0, 'loss': jnp.where(train.step == 6, jnp.nan, 1)}

  saved = []
  with pytest.raises(FloatingPointError, match=r"'loss' is nan at step 6"):
    loop.run(
      step,
      _start(),
      jax.random.key(0),
      steps=20,
      log_every=log_every,
      checkpoint=lambda step, _: saved.append(step),
      checkpoint_every=1,
    )
  assert saved == [1, 2, 3, 4, 5]


def test_stop_sees_metrics_one_interval_late():
  outcome = loop.run(
    _counter,
    _start(),
    jax.random.key(0),
    steps=100,
    stop=lambda step, values: values['loss'] >= 5,
    log_every=3,
  )
  # Loss 5 belongs to step 6, which is read when step 9 has been started.
  assert (outcome.step, outcome.reason) == (9, 'stop')


def test_seconds_end_the_run():
  outcome = loop.run(_counter, _start(), jax.random.key(0), seconds=1e-6)
  assert (outcome.step, outcome.reason) == (1, 'seconds')


def test_end_of_an_iterable_ends_the_run():
  batches = [np.zeros(3, np.float32)] * 4
  outcome = loop.run(_step, _start(), jax.random.key(0), batches, steps=9)
  assert (outcome.step, outcome.reason) == (4, 'batches')


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_leaves(number, capsys):
  saved = []
  before = signal.getsignal(number)
  outcome = loop.run(
    _counter,
    _start(),
    jax.random.key(0),
    steps=1000,
    checkpoint=lambda step, _: saved.append(step),
    hooks=[loop.Hook(3, lambda *_: os.kill(os.getpid(), number))],
  )
  assert (outcome.step, outcome.reason) == (3, 'interrupted')
  assert saved == [3]
  assert signal.getsignal(number) is before
  assert 'leaving after this step' in capsys.readouterr().err


@pytest.fixture
def interruptible():
  """Python's own handler; a shell's background jobs start without one."""
  old = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, old)


def test_second_interrupt_acts_at_once(interruptible):
  def twice(*_):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)

  with pytest.raises(KeyboardInterrupt):
    loop.run(
      _counter,
      _start(),
      jax.random.key(0),
      steps=9,
      hooks=[loop.Hook(1, twice)],
    )


def test_runs_outside_the_main_thread():
  outcomes = []
  thread = threading.Thread(
    target=lambda: outcomes.append(
      loop.run(_counter, _start(), jax.random.key(0), steps=2)
    )
  )
  thread.start()
  thread.join()
  assert outcomes[0].step == 2


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({}, 'no end'),
    ({'steps': 0}, 'steps must be at least 1, got 0'),
    ({'seconds': 0.0}, 'seconds must be above 0'),
    ({'seconds': float('nan')}, 'seconds must be above 0'),
    ({'steps': 1, 'log_every': 0}, 'log_every'),
    ({'steps': 1, 'checkpoint_every': -1}, 'checkpoint_every'),
  ],
)
def test_bad_budgets_are_refused(options, message):
  with pytest.raises(ValueError, match=message):
    loop.run(_counter, _start(), jax.random.key(0), **options)
