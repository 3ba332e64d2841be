"""Annotations that are executed: what beartype checks, and where it may not.

jaxtyping instruments the rooms that conftest.py lists with `check`.
"""

from collections.abc import Callable
import functools
import sys

import beartype

# An int is good where a float is asked for, as type checkers have it.
_CONF = beartype.BeartypeConf(is_pep484_tower=True)


def _called_by_jax() -> bool:
  """Tell whether jax called what called this, jaxtyping's frames left out."""
  frame = sys._getframe(2)
  while frame is not None:
    room = frame.f_globals.get('__name__', '').split('.')[0]
    if room != 'jaxtyping':
      return room in ('jax', 'jaxlib')
    frame = frame.f_back
  return False


def check(function: Callable) -> Callable:
  """Return the function with its annotations checked at every call.

  jax takes pytrees apart and puts them together with whatever it keeps in
  the place of arrays (shapes, axes, `object()`): so a dataclass is checked
  when we make one, not when jax does.
  """
  checked = beartype.beartype(conf=_CONF)(function)
  if not function.__qualname__.endswith('.__init__'):
    return checked

  @functools.wraps(function)
  def construct(*args, **kwargs):
    return (function if _called_by_jax() else checked)(*args, **kwargs)

  return construct
