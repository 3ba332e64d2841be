"""Fixtures of worn masks."""

from tests.training.conftest import full_disk  # noqa: F401
