"""A pickle machine that runs nothing, and makes no more than its file allows.

Python's own unpickler trusts a stream: it hashes tuples of any depth until the
stack overflows, reserves as many places in its memo as a number says, and
calls what is named with whatever is given. Here `pickletools` takes the
opcodes apart, which acts on nothing, and they act on a plain list. What names
stand for is the caller's; every opcode, copied item and copied byte is paid
from a budget that the size of the file sets.

Source: the opcodes as documented in CPython's Lib/pickletools.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sized
import pickle
import pickletools
from typing import Any

# A snapshot of three networks has some hundred thousand.
_MOST_OPCODES = 1_500_000
# Bytes that a small file may take beyond its own size.
_SLACK = 64 * 2**20
# Bytes made of each byte of a file: a string of it, the numbers in that, the
# arrays of these, and two networks that share them.
_COPIES = 5
# Integers beyond, of which any number share a hash, are no keys.
_LARGEST_KEY = 2**63

# Opcodes whose argument is the value, by what it is.
_PUSHED = frozenset(
  (
    *('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4'),
    *('FLOAT', 'BINFLOAT'),
    *('STRING', 'BINSTRING', 'SHORT_BINSTRING'),
    *('UNICODE', 'SHORT_BINUNICODE', 'BINUNICODE', 'BINUNICODE8'),
    *('BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8', 'BYTEARRAY8'),
  )
)
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_EMPTY: dict[str, Callable[[], Any]] = {
  'EMPTY_LIST': list,
  'EMPTY_TUPLE': tuple,
  'EMPTY_DICT': dict,
  'EMPTY_SET': set,
}
_FEW = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}
_MADE = ('GLOBAL', 'STACK_GLOBAL', 'INST', 'REDUCE', 'NEWOBJ', 'NEWOBJ_EX')
_COLLECTED = ('TUPLE', 'LIST', 'DICT', 'FROZENSET', 'OBJ')
_ADDED = ('APPENDS', 'SETITEMS', 'ADDITEMS')
_PUT = ('PUT', 'BINPUT', 'LONG_BINPUT')
_GET = ('GET', 'BINGET', 'LONG_BINGET')


class Budget:
  """What a file may still cost."""

  def __init__(self, size: int):
    self._steps = _MOST_OPCODES
    self._bytes = _COPIES * size + _SLACK

  def step(self, count: int = 1) -> None:
    """Pay for opcodes or copied items.

    Args:
      count: how many.

    Raises:
      ValueError: there were too many.
    """
    self._steps -= count
    if self._steps < 0:
      raise ValueError('it takes more steps than any network file')

  def copy(self, count: int) -> None:
    """Pay for copied bytes.

    Args:
      count: how many.

    Raises:
      ValueError: there were too many.
    """
    self._bytes -= count
    if self._bytes < 0:
      raise ValueError('it asks for more memory than a file of its size holds')


def is_key(value: Any) -> bool:
  """Return whether a value can be hashed at once, as keys of networks can.

  Args:
    value: anything that the machine makes.
  """
  if isinstance(value, tuple):
    return all(not isinstance(v, tuple) and is_key(v) for v in value)
  if isinstance(value, int):
    return abs(value) <= _LARGEST_KEY
  # What a name stands for is of the caller's making.
  return (
    value is None or isinstance(value, str | bytes | float) or callable(value)
  )


def check_keys(values: Any, budget: Budget) -> None:
  """Raise ValueError unless all of some values may be keys."""
  for value in values:
    budget.step(len(value) if isinstance(value, tuple) else 1)
    if not is_key(value):
      raise ValueError('a key that no network file has')


def _set_items(target: Any, items: list, budget: Budget) -> None:
  """Put keys and values, in turn, into a dictionary."""
  if not isinstance(target, dict) or len(items) % 2:
    raise pickle.UnpicklingError('entries of no dictionary')
  check_keys(items[::2], budget)
  for key, value in zip(items[::2], items[1::2]):
    target[key] = value


def _opcodes(file: Any) -> Iterator[tuple[str, Any]]:
  """Yield names and arguments, to the end of a pickle."""
  try:
    for opcode, argument, _ in pickletools.genops(file):
      yield opcode.name, argument
  except ValueError as error:
    raise pickle.UnpicklingError(str(error)) from error


class _Machine:
  """The stack of a pickle and what acts on it."""

  def __init__(
    self,
    find: Callable[[str, str], Any],
    persistent: Callable[[Any], Any],
    budget: Budget,
  ):
    self.find, self.persistent, self.budget = find, persistent, budget
    self.stack: list[Any] = []
    self.marks: list[int] = []
    self.memo: dict[int, Any] = {}

  def pop(self, count: int) -> list[Any]:
    """Take values from the top, never those below a mark."""
    least = self.marks[-1] if self.marks else 0
    if len(self.stack) - count < least:
      raise pickle.UnpicklingError('a value is missing')
    taken = self.stack[len(self.stack) - count :]
    del self.stack[len(self.stack) - count :]
    return taken

  def pop_mark(self) -> list[Any]:
    """Take all above the last mark."""
    if not self.marks:
      raise pickle.UnpicklingError('a mark is missing')
    start = self.marks.pop()
    taken = self.stack[start:]
    del self.stack[start:]
    return taken

  def top(self) -> Any:
    """Return the value on top."""
    if not self.stack:
      raise pickle.UnpicklingError('a value is missing')
    return self.stack[-1]

  def call(self, function: Any, arguments: Any) -> Any:
    """Call what a name stands for; what it copies is paid before."""
    if not callable(function) or not isinstance(arguments, tuple):
      raise pickle.UnpicklingError('a call of what is no function')
    self.budget.step(len(arguments))
    for value in arguments:
      if isinstance(value, str | bytes | bytearray):
        self.budget.copy(len(value))
      elif isinstance(value, Sized):
        self.budget.step(len(value))
    return function(*arguments)

  def build(self, target: Any, state: Any) -> None:
    """Give an object its state; containers have none worth keeping."""
    if isinstance(state, Mapping):
      self.budget.step(len(state))
    if hasattr(target, '__setstate__'):
      target.__setstate__(state)

  def name(self, module: Any, name: Any) -> Any:
    """Return what a name stands for."""
    if not isinstance(module, str) or not isinstance(name, str):
      raise pickle.UnpicklingError('a name that is no text')
    return self.find(module, name)

  def add(self, name: str, items: list[Any]) -> None:
    """Put items into the container on top."""
    target = self.top()
    if name in ('SETITEM', 'SETITEMS'):
      _set_items(target, items, self.budget)
    elif name == 'ADDITEMS' and isinstance(target, set):
      check_keys(items, self.budget)
      target.update(items)
    elif name in ('APPEND', 'APPENDS') and isinstance(target, list):
      target.extend(items)
    else:
      raise pickle.UnpicklingError('items of no container')

  def collect(self, name: str, items: list[Any]) -> Any:
    """Return a container of what stood above a mark."""
    if name == 'TUPLE':
      return tuple(items)
    if name == 'DICT':
      made: dict[Any, Any] = {}
      _set_items(made, items, self.budget)
      return made
    if name == 'FROZENSET':
      check_keys(items, self.budget)
      return frozenset(items)
    if name == 'OBJ' and items:
      return self.call(items[0], tuple(items[1:]))
    return items  # LIST

  def make(self, name: str, argument: Any) -> Any:
    """Return an object of a name and arguments on the stack."""
    if name == 'GLOBAL':
      return self.name(*argument.split(' ', 1))
    if name == 'STACK_GLOBAL':
      return self.name(*self.pop(2))
    if name == 'INST':
      function = self.name(*argument.split(' ', 1))
      return self.call(function, tuple(self.pop_mark()))
    if name == 'NEWOBJ_EX':
      kind, arguments, _ = self.pop(3)
      return self.call(kind, arguments)
    return self.call(*self.pop(2))  # REDUCE, NEWOBJ

  def remember(self, index: int) -> None:
    """Keep what is on top under a number."""
    self.memo[index] = self.top()

  def recall(self, index: int) -> Any:
    """Return what was kept under a number."""
    if index not in self.memo:
      raise pickle.UnpicklingError(f'nothing was kept as {index}')
    return self.memo[index]


def _build(machine: _Machine) -> None:
  """Give the object on top its state."""
  (state,) = machine.pop(1)
  machine.build(machine.top(), state)


def _acts() -> dict[str, Callable[[_Machine, str, Any], Any]]:
  """Return what each opcode does to a machine, by its name and argument."""
  rows: tuple[tuple[Any, Any], ...] = (
    (_PUSHED, lambda m, _, value: m.stack.append(value)),
    (_PUT, lambda m, _, index: m.remember(index)),
    (('MEMOIZE',), lambda m, *_: m.remember(len(m.memo))),
    (_GET, lambda m, _, index: m.stack.append(m.recall(index))),
    (_CONSTANTS, lambda m, name, _: m.stack.append(_CONSTANTS[name])),
    (_EMPTY, lambda m, name, _: m.stack.append(_EMPTY[name]())),
    (_FEW, lambda m, name, _: m.stack.append(tuple(m.pop(_FEW[name])))),
    (('MARK',), lambda m, *_: m.marks.append(len(m.stack))),
    (_COLLECTED, lambda m, n, _: m.stack.append(m.collect(n, m.pop_mark()))),
    (_ADDED, lambda m, name, _: m.add(name, m.pop_mark())),
    (('APPEND',), lambda m, name, _: m.add(name, m.pop(1))),
    (('SETITEM',), lambda m, name, _: m.add(name, m.pop(2))),
    (_MADE, lambda m, name, value: m.stack.append(m.make(name, value))),
    (('BUILD',), lambda m, *_: _build(m)),
    (('PERSID',), lambda m, _, value: m.stack.append(m.persistent(value))),
    (('BINPERSID',), lambda m, *_: m.stack.append(m.persistent(*m.pop(1)))),
    (('DUP',), lambda m, *_: m.stack.append(m.top())),
    (('POP',), lambda m, *_: m.pop(1)),
    (('POP_MARK',), lambda m, *_: m.pop_mark()),
    (('PROTO', 'FRAME', 'STOP'), lambda *_: None),
  )
  return {name: act for names, act in rows for name in names}


_ACTS = _acts()


def load(
  file: Any,
  find: Callable[[str, str], Any],
  persistent: Callable[[Any], Any],
  budget: Budget,
) -> Any:
  """Read one pickle.

  Args:
    file: binary file (mmap, BytesIO) that reads at most what it holds; left
      behind the pickle.
    find: returns what stands for a module and a name.
    persistent: returns what stands for a persistent id.
    budget: pays for everything that is made.

  Returns:
    The value: containers, text and numbers, and what `find` and `persistent`
    returned.

  Raises:
    pickle.UnpicklingError: the stream is damaged.
    ValueError: it holds or takes more than network files do.
  """
  machine = _Machine(find, persistent, budget)
  for name, argument in _opcodes(file):
    budget.step()
    if name not in _ACTS:
      raise ValueError(f'the opcode {name}, which no network file needs')
    _ACTS[name](machine, name, argument)
  (value,) = machine.pop(1)
  return value
