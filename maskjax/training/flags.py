"""Command lines: `--config=file.py:argument --config.field=value`, strictly.

Wrong input is answered with one line on standard error and exit status 1; no
usage text, no traceback (`--debug` brings the traceback back).
"""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import difflib
import pathlib
import re
import sys
from typing import Any, TypeVar

from absl import app, flags, logging
import ml_collections
from ml_collections.config_flags import config_flags

from maskjax.training import parallel, settings

FLAGS = flags.FLAGS
T = TypeVar('T')
# What is defined here belongs to the experiment that asks for it.
flags.disclaim_key_flags()

# What bad input shows itself as. Anything else is a defect of ours, and a
# traceback is what one wants then.
_INPUT_ERRORS = (ValueError, OSError, FloatingPointError, flags.Error)


def _fields(
  config: ml_collections.ConfigDict, prefix: str = ''
) -> Iterator[str]:
  """Yield the dotted names of all fields."""
  for key, value in config.items():
    yield prefix + key
    if isinstance(value, ml_collections.ConfigDict):
      yield from _fields(value, f'{prefix}{key}.')


class _ConfigParser(config_flags.ConfigFileFlagParser):
  """Loads `file.py:argument`, and sees whether it has the fields to be set.

  absl puts the flag's name before a ValueError: hence its own error.
  """

  def parse(self, path: str) -> ml_collections.ConfigDict:
    """Return the config; says in one line what is wrong with it."""
    file = pathlib.Path(path.split(':', 1)[0])
    if file.suffix != '.py' or not file.is_file():
      raise flags.Error(f'no config file {str(file)!r} (--config={path})')
    try:
      config = super().parse(path)
    except (TypeError, ValueError) as error:
      # ml_collections wraps what the file raised in its traceback.
      raise flags.Error(str(error.__context__ or error)) from error
    known = list(_fields(config))
    given = [re.match(r'--?(?:no)?config\.([\w.]+)', w) for w in sys.argv]
    for field in (match[1] for match in given if match):
      if field not in known:
        near = difflib.get_close_matches(field, known, 1, 0.5)
        hint = f'did you mean {near[0]!r}?' if near else ''
        hint = hint or f'it has {", ".join(known)}'
        raise flags.Error(f'{path} has no field {field!r}; {hint}')
    return config


def define_config(
  default: str | None = None,
) -> flags.FlagHolder[ml_collections.ConfigDict]:
  """Define --config, the flag that names the config file and sets its fields.

  Args:
    default: path of the config file when none is given; None makes the flag a
      required one.

  Returns:
    A holder whose `.value` is the locked ConfigDict after parsing.
  """
  holder = config_flags.DEFINE_config_file(
    'config',
    help_string='Config file, with an argument after a colon if it takes one; '
    'set its fields by --config.field=value.',
  )
  FLAGS['config'].parser = _ConfigParser('config')
  # A default given above would be loaded here and now, and a wrong field on
  # the command line would be found before `run` can answer it.
  FLAGS['config'].default = default
  FLAGS['config'].default_as_str = repr(default)
  return holder


def numbers(text: str) -> tuple[float, ...]:
  """Read numbers between commas, '1,0.5'."""
  try:
    return tuple(map(float, text.split(',')))
  except ValueError:
    raise ValueError(f'{text!r}: not numbers, like 1 or 0.2,0.7') from None


def whole_numbers(text: str) -> tuple[int, ...]:
  """Read whole numbers and ranges of them, '1,5,7' or '0-3'."""
  found: list[int] = []
  try:
    for part in text.split(','):
      first, _, last = part.partition('-')
      found += range(int(first), int(last or first) + 1)
  except ValueError:
    raise ValueError(f'{text!r}: not like 0-3 or 1,5,7') from None
  return tuple(found)


class _Parser(flags.ArgumentParser):
  """Reads a flag by a function of its text; a value is left as it is."""

  def __init__(self, function: Callable[[str], Any]):
    self._function = function

  def parse(self, argument: Any) -> Any:
    """Return the value of a text."""
    if isinstance(argument, str):
      return self._function(argument)
    return argument


def define(
  name: str,
  default: Any,
  words: str,
  function: Callable[[str], Any],
  **options: Any,
) -> flags.FlagHolder:
  """Define a flag that is read by a function.

  Args:
    name: of the flag.
    default: text or value.
    words: what --help says of it.
    function: from text to value, such as `numbers`; its ValueErrors are
      answered in one line.
    **options: of `flags.DEFINE`.

  Returns:
    A holder whose `.value` is the value.
  """
  return flags.DEFINE(_Parser(function), name, default, words, **options)


def read(kind: type[T], **values: Any) -> T:
  """Build settings from the flags that have the names of their fields.

  Args:
    kind: a frozen dataclass, see `settings.read`.
    **values: of fields whose flags have other names; fields with neither have
      their default.

  Returns:
    The settings.

  Raises:
    ValueError: what `settings.read` refuses.
  """
  names = (field.name for field in dataclasses.fields(kind))  # type: ignore[arg-type]
  named = {name: FLAGS[name].value for name in names if name in FLAGS}
  return settings.read(kind, named | values)


def define_folder(
  name: str, default: str | None, help_string: str
) -> flags.FlagHolder[Any]:
  """Define a flag that names a folder, or a file, to write to.

  Args:
    name: of the flag.
    default: None makes the flag a required one.
    help_string: one line.

  Returns:
    A holder whose `.value`, a str, is never empty.
  """
  holder = flags.DEFINE_string(
    name, default, help_string, required=default is None
  )
  flags.register_validator(
    name,
    lambda value: value is None or bool(value.strip()),
    message='it is empty; give a place to write to',
  )
  return holder


def _parse(argv: list[str]) -> list[str]:
  """Parse all flags; where no config is named, it is the default one."""
  if 'config' in FLAGS and not any(
    re.match('--?config(=|$)', word) for word in argv
  ):
    if FLAGS['config'].default is None:
      raise flags.Error('--config=FILE is missing')
    argv = [argv[0], f'--config={FLAGS["config"].default}', *argv[1:]]
  rest = FLAGS(argv)
  if len(rest) > 1:
    raise flags.Error(f'unexpected argument {rest[1]!r}; flags begin with --')
  return rest


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
  """Answer bad input in one line."""
  try:
    yield
  except _INPUT_ERRORS as error:
    if {'--debug', '--debug=true'} & set(sys.argv):
      raise
    sys.exit(f'error: {" ".join(str(error).split())}')
  except KeyboardInterrupt:
    print('interrupted', file=sys.stderr)
    sys.exit(130)


def run(main: Callable[[list[str]], None]) -> None:
  """Parse the flags, prepare XLA and call `main(argv)`; then exit.

  Bad input (ValueError, OSError, FloatingPointError, a wrong flag) ends in one
  line on standard error and status 1, Ctrl-C in status 130; other errors are
  defects and keep their traceback.

  Args:
    main: the experiment; gets the arguments that are not flags.
  """
  if 'debug' not in FLAGS:
    flags.DEFINE_bool('debug', False, 'Show the traceback of input errors.')

  @_one_line()
  def guarded(argv: list[str]) -> None:
    if not FLAGS['verbosity'].present:  # jax tells what it did not find
      logging.set_verbosity(logging.WARNING)
    main(argv)

  parallel.set_xla_flags()
  app.run(guarded, flags_parser=_one_line()(_parse))
