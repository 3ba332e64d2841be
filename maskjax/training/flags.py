"""Command lines: `--config=file.py:argument --config.field=value`, strictly.

Wrong input is answered with one line on standard error and exit status 1; no
usage text, no traceback (`--debug` brings the traceback back).
"""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import difflib
import logging as std_logging
import math
import pathlib
import re
import runpy
import sys
import textwrap
from typing import Any, TypeVar
import warnings

from absl import app, flags, logging
import ml_collections
from ml_collections.config_flags import config_flags

import maskjax
from maskjax.training import config_help, parallel, settings

FLAGS = flags.FLAGS
T = TypeVar('T')
# What is defined here belongs to the experiment that asks for it.
flags.disclaim_key_flags()

# What bad input shows itself as. Anything else is a defect of ours, and a
# traceback is what one wants then.
_INPUT_ERRORS = (ValueError, OSError, FloatingPointError, flags.Error)
_HELP = {'-h', '-help', '--help', '--helpshort', '--helpfull'}
# A line is to be read in a terminal, whatever a file holds.
_MOST_LETTERS = 600
_MOST_NUMBERS = 1_000_000  # of a range


class _Finite(flags.FloatParser):
  """Reads a number within limits; NaN is within none."""

  def parse(self, argument: Any) -> float:
    """Return the number."""
    value = super().parse(argument)
    if not math.isfinite(value):
      raise ValueError(f'{argument} is no finite number')
    return value


def define_float(
  name: str,
  default: float | None,
  words: str,
  low: float | None = None,
  high: float | None = None,
) -> flags.FlagHolder[Any]:
  """Define a flag that is a finite number.

  Args:
    name: of the flag.
    default: its value where it is not given.
    words: for the help.
    low: the least.
    high: the most.
  """
  parser = _Finite(low, high)
  return flags.DEFINE(
    parser, name, default, words, serializer=flags.ArgumentSerializer()
  )


def define_seed(words: str, default: int = 0) -> flags.FlagHolder[Any]:
  """Define --seed.

  Args:
    words: for the help.
    default: its value where it is not given.
  """
  return flags.DEFINE_integer('seed', default, words, 0, settings.LARGEST_SEED)


def _home() -> pathlib.Path:
  """Return the folder in which configs/ lies: of the wheel, or the source."""
  package = pathlib.Path(maskjax.__file__).parent
  return package if (package / 'configs').is_dir() else package.parent


def _config_file(path: str) -> pathlib.Path:
  """Find a config file: of the user, or one that comes with the package."""
  file = pathlib.Path(path.split(':', 1)[0])
  own = _home() / file
  if not file.is_file() and file.parts[:1] == ('configs',) and own.is_file():
    return own
  if file.suffix != '.py' or not file.is_file():
    raise flags.Error(f'no config file {str(file)!r} (--config={path})')
  return file


@contextlib.contextmanager
def _silent() -> Iterator[None]:
  """Log nothing; what is wrong is said in one line."""
  std_logging.disable(std_logging.WARNING)
  try:
    yield
  finally:
    std_logging.disable(std_logging.NOTSET)


def _cause(error: Exception, file: pathlib.Path) -> str:
  """Say what is wrong with a config file."""
  # ml_collections wraps what the file raised in its traceback.
  cause = error.__context__ if 'Traceback' in str(error) else error
  if isinstance(cause, SyntaxError):
    return f'{file}, line {cause.lineno}: {cause.msg}'
  if isinstance(cause, AttributeError) and 'get_config' in str(cause):
    return f'{file} has no get_config(); it is no config file'
  if isinstance(cause, TypeError | ValueError | OSError):
    return str(cause)
  return f'{file}: {type(cause).__name__}: {cause}'


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
    file = _config_file(path)
    _, colon, argument = path.partition(':')
    try:
      with _silent():
        config = super().parse(f'{file}{colon}{argument}')
      known = list(_fields(config))
    # A config file is a program, which can raise anything.
    except Exception as error:
      if not isinstance(error, AttributeError) or 'get_config' in str(error):
        raise flags.Error(_cause(error, file)) from error
      raise flags.Error(
        f'{file}: get_config() does not return a ConfigDict'
      ) from error
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
      low, high = int(first), int(last or first)
      if high - low >= _MOST_NUMBERS:
        raise ValueError
      found += range(low, high + 1)
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


def default_config(path: str) -> ml_collections.ConfigDict:
  """Return what a config file holds without any changes.

  Args:
    path: of the file; one that comes with the package is found everywhere.
  """
  return runpy.run_path(str(_config_file(path)))['get_config']()


def sweep() -> list[dict[str, Any]]:
  """Return the changes that the sweep of the config's file asks for.

  Raises:
    ValueError: the file has none.
  """
  file = _config_file(_config_path(sys.argv))
  function = runpy.run_path(str(file)).get('sweep')
  if function is None:
    raise ValueError(f'{file} has no sweep(add)')
  variants: list[dict[str, Any]] = []
  function(lambda **changes: variants.append(changes))
  return variants


def _config_path(argv: list[str]) -> str:
  """Return what --config says, or its default; '' where there is none."""
  for index, word in enumerate(argv[1:], 1):
    match = re.fullmatch('--?config(=(.*))?', word)
    if match:
      return match[2] or ''.join(argv[index + 1 : index + 2])
  return FLAGS['config'].default or ''


def _help(main: Callable[[list[str]], None]) -> str:
  """Return help on a command: its words, flags, and the config's fields."""
  lines = [(sys.modules[main.__module__].__doc__ or '').strip(), '', 'Flags:']
  for module, own in sorted(FLAGS.flags_by_module_dict().items()):
    if module.startswith(('absl', 'ml_collections', 'orbax', 'etils')):
      continue
    for flag in own:
      if '.' in flag.name:  # a field of the config, below
        continue
      default = '' if flag.default is None else f' ({flag.default_as_str})'
      lines += textwrap.wrap(
        f'--{flag.name}: {flag.help}{default}',
        80,
        initial_indent='  ',
        subsequent_indent=' ' * 6,
      )
  path = _config_path(sys.argv) if 'config' in FLAGS else ''
  if path:
    config: Any = FLAGS['config'].parser.parse(path)
    lines += ['', f'Fields of {path}:']
    lines.append(config_help.text(_config_file(path), config.to_dict()))
  return '\n'.join(lines)


def _parse(argv: list[str]) -> list[str]:
  """Parse all flags; where no config is named, it is the default one."""
  if 'config' in FLAGS and not any(
    re.match('--?config(=|$)', word) for word in argv
  ):
    if FLAGS['config'].default is None:
      raise flags.Error('--config=FILE is missing')
    argv = [argv[0], f'--config={FLAGS["config"].default}', *argv[1:]]
  try:
    rest = FLAGS(argv)
  except flags.Error:
    raise
  # What parses a value raises anything.
  except Exception as error:
    raise flags.Error(f'{type(error).__name__}: {error}') from error
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
    words = ' '.join(str(error).split()) or type(error).__name__
    if len(words) > _MOST_LETTERS:
      words = f'{words[:_MOST_LETTERS]}...'
    sys.exit(f'error: {words}')
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
  if not sys.warnoptions:  # what others warn of is nothing a user can mend
    warnings.simplefilter('ignore')
    warnings.filterwarnings('default', module='maskjax|experiments|configs')

  @_one_line()
  def guarded(argv: list[str]) -> None:
    if not FLAGS['verbosity'].present:  # jax tells what it did not find
      logging.set_verbosity(logging.WARNING)
    main(argv)

  @_one_line()
  def parse(argv: list[str]) -> list[str]:
    if _HELP & set(argv):
      print(_help(main))
      sys.exit(0)
    return _parse(argv)

  parallel.set_xla_flags()
  app.run(guarded, flags_parser=parse)
