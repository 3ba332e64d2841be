"""The trainer: resuming, curves, hooks, what is saved, and how runs end."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.training import (
  checkpoint,
  loop,
  metrics,
  settings,
  state as state_lib,
  task as task_lib,
  trainer,
)

_TX = optax.adam(1e-2)


def _loss(params, rng, batch, axis_name):
  """Fit w to noisy batches."""
  del axis_name
  noise = jax.random.normal(rng, (3,))
  return jnp.sum((params['w'] - noise - batch) ** 2), {}


_STEP = jax.jit(state_lib.make_step(_loss, _TX, ema_decay=0.9))


def _task(**fields):
  return task_lib.Task(
    **{
      'state': state_lib.create({'w': jnp.zeros(3)}, _TX, ema=True),
      'step': _STEP,
      'batches': lambda step: np.full(3, 0.1 * step, np.float32),
    }
    | fields
  )


def _settings(**fields):
  values = {'seed': 1, 'resume': False, 'steps': 5, 'log_every': 1}
  values |= {'checkpoint_every': 2} | fields
  return settings.read(trainer.Settings, values)


def _losses(folder):
  lines = metrics.read(folder / trainer.METRICS)
  return [(line['step'], line['loss'], line['gradient_norm']) for line in lines]


def _cut(number, batches):
  """Return batches that a power cut ends at a step."""

  def batch(step):
    if step == number:
      raise RuntimeError('power cut')
    return batches(step)

  return batch


def test_a_resumed_run_ends_bit_for_bit_like_an_unbroken_one(tmp_path):
  whole = trainer.fit(_task(), _settings(), tmp_path / 'whole')
  broken = _task(batches=_cut(3, _task().batches))
  with pytest.raises(RuntimeError, match='power cut'):
    trainer.fit(broken, _settings(), tmp_path / 'parts')
  assert checkpoint.all_steps(tmp_path / 'parts' / 'checkpoints') == [2]
  parts = trainer.fit(_task(), _settings(resume=True), tmp_path / 'parts')
  jax.tree.map(np.testing.assert_array_equal, whole.state, parts.state)
  assert whole.step == parts.step == 5
  assert _losses(tmp_path / 'whole') == _losses(tmp_path / 'parts')
  assert [step for step, *_ in _losses(tmp_path / 'parts')] == [1, 2, 3, 4, 5]
  # Only the newest checkpoint is kept, unless the task wants all.
  assert checkpoint.all_steps(tmp_path / 'parts' / 'checkpoints') == [5]
  trainer.fit(_task(keep=None), _settings(), tmp_path / 'all')
  assert checkpoint.all_steps(tmp_path / 'all' / 'checkpoints') == [2, 4, 5]


def test_a_run_that_begins_anew_can_be_resumed_as_itself(tmp_path):
  trainer.fit(_task(), _settings(), tmp_path)
  broken = _task(batches=_cut(3, _task().batches))
  with pytest.raises(RuntimeError, match='power cut'):
    trainer.fit(broken, _settings(), tmp_path)
  # Of the run before, step 5 would be the newest.
  assert checkpoint.all_steps(tmp_path / 'checkpoints') == [2]


def test_the_products_are_saved_before_each_checkpoint(tmp_path):
  seen = []

  def save(number, state):
    assert int(state.step) == number
    seen.append((number, checkpoint.latest_step(tmp_path / 'checkpoints')))

  trainer.fit(_task(save=save), _settings(), tmp_path)
  assert seen == [(2, None), (4, 2), (5, 4)]


def test_hooks_come_at_their_periods_and_after_the_last_step(tmp_path):
  calls, curve = [], tmp_path / 'curve.jsonl'

  def measure(number, state):
    calls.append(number)
    metrics.append(curve, number, {'w': float(state.params['w'][0])})

  hooks = (
    loop.Hook(2, measure),
    loop.Hook(5, lambda number, state: calls.append(-number)),
  )
  task = _task(hooks=hooks, curves=('curve.jsonl',))
  trainer.fit(task, _settings(), tmp_path)
  assert calls == [2, 4, -5, 5]
  assert [line['step'] for line in metrics.read(curve)] == [2, 4, 5]
  # A run that begins anew begins its curves anew.
  trainer.fit(task, _settings(steps=2), tmp_path)
  assert [line['step'] for line in metrics.read(curve)] == [2]
  assert [step for step, *_ in _losses(tmp_path)] == [1, 2]


def test_an_end_before_the_last_step_calls_no_hooks(tmp_path):
  calls = []
  task = _task(
    hooks=(loop.Hook(2, lambda number, state: calls.append(number)),),
    # Asked one log point later, so that the device never waits.
    stop=lambda number, values: number == 2,
  )
  outcome = trainer.fit(task, _settings(checkpoint_every=9), tmp_path)
  assert outcome.reason == 'stop' and outcome.step == 3
  assert calls == [2]


def test_what_is_logged(tmp_path, capsys):
  def record(number, values):
    return values | {'twice': 2 * number}

  task = _task(
    record=record, examples=8, shown=('images_per_second',), name='fitting'
  )
  trainer.fit(task, _settings(), tmp_path)
  for line in metrics.read(tmp_path / trainer.METRICS):
    assert line['twice'] == 2 * line['step']
    expected = 8 / line['seconds_per_step']
    assert line['images_per_second'] == pytest.approx(expected)
  shown = capsys.readouterr().err
  assert 'fitting: step 5/5' in shown and 'images_per_second' in shown


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  saved = []
  task = _task(save=lambda number, state: saved.append(number))
  outcome = trainer.fit(task, _settings(), None, show_progress=False)
  assert outcome.step == 5 and saved == [2, 4, 5]
  assert list(tmp_path.iterdir()) == [] and capsys.readouterr().err == ''


def test_a_task_may_refuse_to_go_on(tmp_path):
  def record(number, values):
    if number == 3:
      raise ValueError(f'at step {number} there is no room')
    return values

  with pytest.raises(ValueError, match='at step 3 there is no room'):
    trainer.fit(_task(record=record), _settings(), tmp_path)


def test_a_state_is_copied_to_the_devices_of_the_task(tmp_path):
  devices = jax.devices()[:2]
  step = task_lib.with_shared(
    state_lib.make_step(
      lambda params, rng, batch, shared, axis_name: (
        jnp.sum((params['w'] - batch.mean(0) * shared) ** 2),
        {},
      ),
      optax.sgd(0.1),
    ),
    jnp.float32(2.0),
    devices=devices,
  )
  tx = optax.sgd(0.1)
  task = _task(
    state=state_lib.create({'w': jnp.zeros(3)}, tx),
    step=step,
    batches=lambda number: np.ones((4, 3), np.float32),
    devices=devices,
  )
  outcome = trainer.fit(task, _settings(steps=1), tmp_path)
  assert outcome.state.params['w'].sharding.device_set == set(devices)
  # The gradient of (w - 2)^2 at 0 is -4.
  np.testing.assert_allclose(outcome.state.params['w'], 0.4, rtol=1e-6)


@pytest.mark.parametrize(
  ('field', 'value'), [('steps', 0), ('log_every', 0), ('checkpoint_every', 0)]
)
def test_limits_of_the_settings(field, value):
  with pytest.raises(
    ValueError, match=f'{field} is 0; expected 1 to 1,000,000,000'
  ):
    _settings(**{field: value})
