"""Test session: fake devices, strict jax, parsed flags."""

import gc
import os
import pathlib
import sys
import tempfile

# Fake devices and thread counts are read once, when jax is first used.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# More threads than cores make small machines slower, not faster; the tests
# themselves run in two processes.
for _name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
  os.environ.setdefault(_name, '1')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
# Compiling is most of a test's time. The same operations are fused in the same
# way, only their machine code is not optimised.
os.environ['XLA_FLAGS'] = ' '.join(
  [os.environ.get('XLA_FLAGS', ''), '--xla_backend_optimization_level=0']
)
# No test may reach a network.
os.environ.setdefault('HF_HUB_OFFLINE', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

from absl import flags
import jax
import jaxtyping
import pytest

from tests import typed

# Rooms whose annotations are true: beartype checks every call of a function of
# theirs, shapes and all. Modules are instrumented while they are imported, so
# nothing of maskjax may be imported before.
_TYPED = (
  'maskjax.diffusion',
  'maskjax.fitting',
  'maskjax.geometry',
  'maskjax.mask',
  'maskjax.matcher',
  'maskjax.parity',
  'maskjax.prior',
  'maskjax.studio',
  'maskjax.training',
  'maskjax.wear',
  'maskjax.weights',
)
jaxtyping.install_import_hook(
  _TYPED, f'{typed.check.__module__}.{typed.check.__name__}'
)

from maskjax.training import parallel

parallel.set_xla_flags(host_devices=8)

# Compiled programs are kept from one run of the suite to the next.
_cache = pathlib.Path(tempfile.gettempdir()) / 'maskjax-test-cache'
jax.config.update('jax_compilation_cache_dir', str(_cache))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_debug_key_reuse', True)

from tests.tiny_models import maps_folder, model_folder, tiny_prior  # noqa: F401

if not flags.FLAGS.is_parsed():
  flags.FLAGS(sys.argv[:1])

# Memory maps of a process before programs are let go. Each compiled program
# takes several, a large one thousands, Linux allows 65,530, and XLA aborts
# beyond; one test of a training makes up to 25,000.
_MOST_MAPS = 20_000
# Programs made since the maps were last counted, which takes a while.
_made: list[str] = []


def _note(event: str, seconds: float, **about: object) -> None:
  del seconds, about
  if event.endswith('backend_compile_duration'):
    _made.append(event)


jax.monitoring.register_event_duration_secs_listener(_note)


@pytest.fixture
def unchecked():
  """Let a test pass what annotations forbid, to see what users are told."""
  jaxtyping.config.update('jaxtyping_disable', True)
  yield
  jaxtyping.config.update('jaxtyping_disable', False)


@pytest.fixture(autouse=True)
def few_memory_maps():
  """Forget compiled programs after a test, where there are many."""
  yield
  if not _made:
    return
  _made.clear()
  maps = pathlib.Path('/proc/self/maps')
  if maps.exists() and maps.read_bytes().count(b'\n') > _MOST_MAPS:
    jax.clear_caches()
    gc.collect()


def pytest_collection_finish():
  """Spare the garbage collector what lives as long as the session."""
  gc.collect()
  gc.freeze()
  gc.set_threshold(20_000, 20, 20)


def pytest_addoption(parser):
  """Take a folder of one's own for `tests/gan/goldens_test.py`."""
  parser.addoption(
    '--goldens',
    metavar='FOLDER',
    help='check recorded numbers of EG3D or StyleGAN2, a test for each file',
  )
