"""Test session: fake devices, strict jax, parsed flags."""

import os
import pathlib
import sys
import tempfile

# Fake devices and thread counts are read once, when jax is first used.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# More threads than cores make small machines slower, not faster.
for _name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
  os.environ.setdefault(_name, '2')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
# No test may reach a network.
os.environ.setdefault('HF_HUB_OFFLINE', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

from absl import flags
import jax

from maskjax.training import parallel

parallel.set_xla_flags(host_devices=8)

# Compiled programs are kept from one run of the suite to the next.
_cache = pathlib.Path(tempfile.gettempdir()) / 'maskjax-test-cache'
jax.config.update('jax_compilation_cache_dir', str(_cache))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_debug_key_reuse', True)

if not flags.FLAGS.is_parsed():
  flags.FLAGS(sys.argv[:1])
