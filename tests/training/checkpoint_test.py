import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.training import checkpoint, parallel, state


def _tree():
  tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
  params = {
    'dense': {'kernel': jax.random.normal(jax.random.key(0), (4, 3))},
    'half': jnp.array([1.5, -0.1], jnp.bfloat16),
    'empty': jnp.zeros((0, 2)),
    'a/b.c': jnp.array([jnp.nan, -0.0, jnp.inf]),
  }
  return {
    'train': state.create(params, tx, ema=True),
    'rng': jax.random.key(7),
    'keys': jax.random.split(jax.random.key(8, impl='rbg'), 2),
    'count': 3,
    'rate': 0.1,
    'done': True,
    'host': np.arange(3, dtype=np.float64),
    'nothing': None,
  }


def _bits(tree):
  def bits(leaf):
    if checkpoint._is_key(leaf):
      leaf = jax.random.key_data(leaf)
    return np.asarray(leaf).tobytes()

  return [bits(leaf) for leaf in jax.tree.leaves(tree)]


def test_round_trip_is_bit_exact(tmp_path):
  tree = _tree()
  checkpoint.save(tmp_path, 5, tree)
  blank = jax.tree.map(
    lambda x: (
      x if checkpoint._is_key(x) else type(x)(0) if np.isscalar(x) else x * 0
    ),
    tree,
  )
  restored = checkpoint.restore(tmp_path, blank)
  assert jax.tree.structure(restored) == jax.tree.structure(tree)
  assert _bits(restored) == _bits(tree)
  for new, old in zip(jax.tree.leaves(restored), jax.tree.leaves(tree)):
    assert type(new) is type(old)
    assert getattr(new, 'dtype', None) == getattr(old, 'dtype', None)
  np.testing.assert_array_equal(
    jax.random.normal(restored['rng'], (3,)),
    jax.random.normal(jax.random.key(7), (3,)),
  )


def test_restores_onto_the_devices_of_the_template(tmp_path):
  tree = parallel.replicate({'w': jnp.arange(3.0)})
  checkpoint.save(tmp_path, 1, tree)
  restored = checkpoint.restore(tmp_path, tree)
  assert restored['w'].sharding == tree['w'].sharding
  assert len(restored['w'].sharding.device_set) == 8


def test_steps_and_what_is_kept(tmp_path):
  assert checkpoint.latest_step(tmp_path / 'none') is None
  for step in range(10, 70, 10):
    checkpoint.save(tmp_path, step, {'x': step}, keep=2, keep_every=30)
  assert checkpoint.all_steps(tmp_path) == [30, 50, 60]
  assert checkpoint.latest_step(tmp_path) == 60
  assert checkpoint.restore(tmp_path, {'x': 0}, 30) == {'x': 30}
  checkpoint.truncate(tmp_path, 50)
  assert checkpoint.all_steps(tmp_path) == [30, 50]
  assert checkpoint.restore(tmp_path, {'x': 0}) == {'x': 50}


def test_saving_a_step_again_replaces_it(tmp_path):
  checkpoint.save(tmp_path, 1, {'x': 1})
  checkpoint.save(tmp_path, 1, {'x': 2})
  assert checkpoint.restore(tmp_path, {'x': 0}) == {'x': 2}


def test_broken_off_save_is_invisible_and_swept(tmp_path):
  leftover = tmp_path / 'step_00000009.orbax-checkpoint-tmp'
  leftover.mkdir(parents=True)
  assert checkpoint.all_steps(tmp_path) == []
  checkpoint.save(tmp_path, 1, {'x': 1})
  assert not leftover.exists()


def test_missing_checkpoints(tmp_path):
  with pytest.raises(FileNotFoundError, match='no checkpoint in'):
    checkpoint.restore(tmp_path, {'x': 0})
  checkpoint.save(tmp_path, 1, {'x': 1})
  with pytest.raises(FileNotFoundError, match=r'of step 2 in .*there are 1'):
    checkpoint.restore(tmp_path, {'x': 0}, 2)


@pytest.mark.parametrize(
  ('template', 'message'),
  [
    ({'w': np.zeros(3, np.float32), 'v': 0}, "lacks 'v'"),
    ({}, "unknown 'w'"),
    ({'w': np.zeros(4, np.float32)}, r"'w' is float32\[3\], expected .*\[4\]"),
    ({'w': np.zeros(3, np.int32)}, r"'w' is float32\[3\], expected int32"),
  ],
)
def test_other_structures_are_refused(tmp_path, template, message):
  checkpoint.save(tmp_path, 1, {'w': np.zeros(3, np.float32)})
  with pytest.raises(ValueError, match=message) as caught:
    checkpoint.restore(tmp_path, template)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('damage', ['cut', 'flip', 'remove'])
def test_damage_is_found(tmp_path, damage):
  rng = np.random.default_rng(0)
  checkpoint.save(tmp_path, 1, {'w': rng.normal(size=(64, 64))})
  files = [p for p in (tmp_path / 'step_00000001').rglob('*') if p.is_file()]
  largest = max(files, key=lambda path: path.stat().st_size)
  content = bytearray(largest.read_bytes())
  if damage == 'remove':
    largest.unlink()
  elif damage == 'cut':
    largest.write_bytes(content[: len(content) // 2])
  else:
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
  with pytest.raises(ValueError, match=r'cannot read|is damaged') as caught:
    checkpoint.restore(tmp_path, {'w': np.zeros((64, 64))})
  assert '\n' not in str(caught.value)


def test_is_silent(tmp_path, capfd):
  checkpoint.save(tmp_path, 1, {'x': jnp.ones(3)})
  checkpoint.restore(tmp_path, {'x': jnp.ones(3)})
  assert capfd.readouterr() == ('', '')


def test_a_full_disk_leaves_the_checkpoints_before_and_no_half_one(
  tmp_path, full_disk, capfd
):
  checkpoint.save(tmp_path, 1, {'w': np.zeros(8)})
  large = np.random.default_rng(0).normal(size=(200, 200))
  with pytest.raises(OSError, match=r'cannot write .*step_00000002') as caught:
    checkpoint.save(tmp_path, 2, {'w': large})
  assert '\n' not in str(caught.value)
  assert [path.name for path in tmp_path.iterdir()] == ['step_00000001']
  checkpoint.restore(tmp_path, {'w': np.zeros(8)})
  # Other libraries do not tell of it in words of their own.
  assert capfd.readouterr() == ('', '')


def test_truncating_all(tmp_path):
  for step in (0, 3):
    checkpoint.save(tmp_path, step, {'w': np.zeros(8)})
  (tmp_path / 'begin').mkdir()
  checkpoint.truncate(tmp_path, -1)
  assert [path.name for path in tmp_path.iterdir()] == ['begin']
