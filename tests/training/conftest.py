"""What several tests of trainings share."""

import resource
import signal

import pytest


@pytest.fixture
def full_disk():
  """Let no file of this process grow beyond 100,000 bytes."""
  handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
  yield
  resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  signal.signal(signal.SIGXFSZ, handler)
