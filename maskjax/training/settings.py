"""Settings of a run: frozen dataclasses whose limits stand beside the fields.

A room declares what it can be told as a dataclass, each number with its unit
and its limits; `read` fills it from a config (ConfigDict, mapping), strictly.
A new field is declared here and given a value in configs/, nowhere else:

  @dataclasses.dataclass(frozen=True, kw_only=True)
  class Views:
    count: int = number(1, 64)  # cameras of a step
    fovy: tuple[float, float] = span(5.0, 120.0)  # degrees, from and to
    prompt_form: str = choice('words', 'numbers', 'plain')

Every field is required: the values of an experiment are in its config file.
"""

from collections.abc import Callable, Mapping
import dataclasses
import difflib
import math
import reprlib
import types
import typing
from typing import Any, TypeVar

T = TypeVar('T')
Check = Callable[[Any], str | None]  # value -> what is expected, or None

# What a field's metadata may say of it.
_CHECK = 'check'
LIMITS = 'limits'  # of a number, the least and the most
_MAY_CHANGE = 'may_change'
_COMMAND = 'command'

# Seeds have 32 bits: larger ones would count as smaller ones.
LARGEST_SEED = 2**32 - 1

_REPR = reprlib.Repr()
_REPR.maxlevel = 3
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80
_REPR.maxtuple = _REPR.maxlist = _REPR.maxdict = 12


def checked(check: Check, **options: Any) -> Any:
  """Declare a field with a check of its own.

  Args:
    check: of a value; returns what is expected where the value is not that.
    options: of `dataclasses.field`.
  """
  return dataclasses.field(metadata={_CHECK: check}, **options)


def _marked(field: Any, **marks: Any) -> Any:
  """Declare a field as it is, with something more said of it."""
  if field is None:
    return dataclasses.field(metadata=marks)
  return dataclasses.field(
    default=field.default,
    default_factory=field.default_factory,
    metadata={**field.metadata, **marks},
  )


def may_change(field: Any = None) -> Any:
  """Declare a field that a resumed run may have different.

  Args:
    field: what else is declared of it, e.g. `number(1)`.
  """
  return _marked(field, **{_MAY_CHANGE: True})


def command(field: Any = None) -> Any:
  """Declare a field that says what to do with a run, not what it is.

  Args:
    field: what else is declared of it, e.g. `number(0)`.
  """
  return _marked(field, **{_COMMAND: True})


def shown(value: Any) -> str:
  """Return a value as code has it, shortened where it is long or deep."""
  return _REPR.repr(value)


def _is_within(value: Any, low: float, high: float) -> bool:
  return math.isfinite(value) and low <= value <= high


def _number(value: float) -> str:
  """Return a limit in words: 10, 0.5, 4,294,967,295."""
  return f'{value:,.0f}' if abs(value) >= 1e6 else f'{value:g}'


def _limits(low: float, high: float) -> str:
  """Say in words what lies within two limits."""
  if math.isfinite(low) and math.isfinite(high):
    return f'{_number(low)} to {_number(high)}'
  if math.isfinite(low):
    return f'>= {_number(low)}'
  return f'<= {_number(high)}' if math.isfinite(high) else 'a finite number'


def number(
  low: float = -math.inf,
  high: float = math.inf,
  *,
  most: int = 100,
  **options: Any,
) -> Any:
  """Declare a finite number, or a tuple of them, within limits (inclusive).

  Args:
    low: the least.
    high: the most.
    most: numbers of a tuple at most.
    **options: of `dataclasses.field`, e.g. a default; None is no number.
  """

  def check(value):
    values = value if isinstance(value, tuple) else (value,)
    if not values:
      return 'give at least one number'
    if len(values) > most:
      return f'give at most {most} numbers'
    if all(x is None or _is_within(x, low, high) for x in values):
      return None
    return f'expected {_limits(low, high)}'

  return _marked(checked(check, **options), **{LIMITS: (low, high)})


def seed(**options: Any) -> Any:
  """Declare a seed, up to `LARGEST_SEED`."""
  return number(0, LARGEST_SEED, **options)


def span(low: float = -math.inf, high: float = math.inf) -> Any:
  """Declare two finite numbers within limits, the first not the larger one."""

  def check(value):
    if not all(_is_within(x, low, high) for x in value):
      return f'expected {_limits(low, high)}'
    return None if value[0] <= value[1] else 'give (low, high)'

  return _marked(checked(check), **{LIMITS: (low, high)})


def power_of_two(high: int = 2**14) -> Any:
  """Declare a power of two up to a limit."""

  def check(value):
    if 0 < value <= high and not value & (value - 1):
      return None
    return f'give a power of two up to {high}'

  return checked(check)


def choice(*names: Any, **options: Any) -> Any:
  """Declare one of some values; options are those of `dataclasses.field`."""
  words = ', '.join(map(str, names))
  return checked(
    lambda value: None if value in names else f'not one of {words}', **options
  )


def some_of(*names: Any, **options: Any) -> Any:
  """Declare a tuple of some values; options as those of `choice`."""
  words = ', '.join(map(str, names))

  def check(value):
    if value and all(item in names for item in value):
      return None
    return f'give one or more of {words}, e.g. {tuple(names[:1])!r}'

  return checked(check, **options)


def text() -> Any:
  """Declare words that may not be blank."""
  return checked(lambda value: None if value.strip() else 'give some words')


def _plain(value: Any) -> Any:
  """Turn a ConfigDict into a mapping, a list into a tuple."""
  if hasattr(value, 'items') and not isinstance(value, Mapping):
    return dict(value.items())
  return tuple(value) if isinstance(value, list) else value


def _typed(value: Any, wanted: Any, name: str) -> Any:
  """Return a value in the type of its field.

  Raises:
    ValueError: the value is of another type; an int is a float, too.
  """
  if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
    if isinstance(value, wanted):
      return value
    if not isinstance(value, Mapping):
      raise ValueError(f'{name} is {shown(value)}; expected a group of fields')
    return _fill(wanted, value, f'{name}.')
  origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
  if wanted is Any:
    return value
  if origin in (typing.Union, types.UnionType):
    for option in arguments:
      try:
        return _typed(value, option, name)
      except ValueError:
        continue
  elif wanted is type(None):
    if value is None:
      return None
  elif origin is typing.Literal:
    if value in arguments:
      return value
  elif origin is tuple and isinstance(value, tuple):
    if arguments[-1] is Ellipsis:
      return tuple(_typed(item, arguments[0], name) for item in value)
    if len(value) != len(arguments):
      raise ValueError(
        f'{name} is {shown(value)}; give {len(arguments)} values'
      )
    return tuple(_typed(*pair, name) for pair in zip(value, arguments))
  elif wanted is float and type(value) in (int, float):
    return float(value)
  elif wanted in (int, bool, str) and type(value) is wanted:
    return value
  words = getattr(wanted, '__name__', None) if origin is None else str(wanted)
  raise ValueError(f'{name} is {shown(value)}; expected {words or wanted}')


def check_field(field: dataclasses.Field, value: Any, name: str) -> None:
  """Raise ValueError where a value is not within the limits of its field.

  Args:
    field: of a dataclass.
    value: of the field's type.
    name: what to call it.
  """
  check = field.metadata.get(_CHECK)
  expected = check(value) if check is not None else None
  if expected is not None:
    raise ValueError(f'{name} is {shown(value)}; {expected}')


def check_limits(settings: Any) -> None:
  """Check the fields of settings that were not `read`; a `__post_init__`.

  Args:
    settings: an instance of a dataclass.

  Raises:
    ValueError: a value outside of its limits; one line.
  """
  for field in dataclasses.fields(settings):
    check_field(field, getattr(settings, field.name), field.name)


def _fill(kind: type[T], values: Mapping[str, Any], prefix: str) -> T:
  """Fill a dataclass; `prefix` is what stands before a field's name."""
  fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
  for name in values:
    if name not in fields:
      near = difflib.get_close_matches(name, fields, 1, 0.5)
      hint = (
        f'did you mean {prefix + near[0]!r}?'
        if near
        else f'there are {", ".join(fields)}'
      )
      raise ValueError(f'unknown field {prefix + name!r}; {hint}')
  hints = typing.get_type_hints(kind)
  filled = {}
  for name, field in fields.items():
    full = prefix + name
    if name not in values:
      if (
        field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
      ):
        raise ValueError(f'the field {full!r} is missing')
      continue
    value = _typed(_plain(values[name]), hints[name], full)
    check_field(field, value, full)
    filled[name] = value
  return kind(**filled)


def fields(kind: Any) -> dict[str, dataclasses.Field]:
  """Return all fields of settings by dotted name, groups opened.

  Args:
    kind: a dataclass, or an instance of one.
  """
  hints = typing.get_type_hints(kind if isinstance(kind, type) else type(kind))
  found = {}
  for field in dataclasses.fields(kind):
    group = hints[field.name]
    if dataclasses.is_dataclass(group):
      inner = fields(group).items()
      found |= {f'{field.name}.{name}': each for name, each in inner}
    else:
      found[field.name] = field
  return found


def changeable(kind: Any) -> tuple[str, ...]:
  """Return the dotted names of fields that a resumed run may change."""
  return tuple(n for n, f in fields(kind).items() if _MAY_CHANGE in f.metadata)


def commands(kind: Any) -> tuple[str, ...]:
  """Return the dotted names of fields that say what to do with a run."""
  return tuple(n for n, f in fields(kind).items() if _COMMAND in f.metadata)


def changed(settings: T, values: Mapping[str, Any]) -> T:
  """Return settings with some fields different, checked anew.

  Args:
    settings: filled settings.
    values: new values by dotted name.

  Raises:
    ValueError: what `read` refuses.
  """
  tree = dataclasses.asdict(settings)  # type: ignore[call-overload]
  for name, value in values.items():
    *path, last = name.split('.')
    group = tree
    for part in path:
      group = group.setdefault(part, {})
    group[last] = value
  return read(type(settings), tree)


def read(kind: type[T], config: Any) -> T:
  """Build settings from a config, strictly.

  Args:
    kind: a frozen dataclass; a field may be a dataclass itself. What excludes
      each other is refused by its `__post_init__`.
    config: ConfigDict or mapping with a value for every field.

  Returns:
    The settings.

  Raises:
    ValueError: an unknown, missing, ill-typed field, or a value outside of
      its limits; one line with the dotted name of the field.
  """
  return _fill(kind, _plain(config), '')
