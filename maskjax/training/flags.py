"""Command lines: `--config=file.py:argument --config.field=value`, strictly.

Wrong input is answered with one line on standard error and exit status 1; no
usage text, no traceback (`--debug` brings the traceback back).
"""

from collections.abc import Callable, Sequence
import difflib
import importlib.util
import inspect
import os
import re
import sys

from absl import app, flags, logging
import ml_collections
from ml_collections.config_flags import config_flags

from maskjax.training import parallel

FLAGS = flags.FLAGS

# What bad input shows itself as. Anything else is a defect of ours, and a
# traceback is what one wants then.
_INPUT_ERRORS = (ValueError, OSError, FloatingPointError, flags.Error)


def define_config(
  default: str | None = None, *, name: str = 'config'
) -> flags.FlagHolder[ml_collections.ConfigDict]:
  """Define the flag that names the config file and sets its fields.

  Args:
    default: path of the config file when none is given; None makes the flag a
      required one.
    name: name of the flag.

  Returns:
    A holder whose `.value` is the locked ConfigDict after parsing.
  """
  holder = config_flags.DEFINE_config_file(
    name,
    help_string='Config file, with an argument after a colon if it takes one; '
    f'set its fields by --{name}.field=value.',
    lock_config=True,
  )
  # A default given above would be loaded here and now, and a wrong field on
  # the command line would be found before `run` can answer it.
  FLAGS[name].default = default
  FLAGS[name].default_as_str = repr(default)
  return holder


def _config_names() -> list[str]:
  return [n for n in FLAGS if config_flags.is_config_flag(FLAGS[n])]


def _config_source(name: str, argv: Sequence[str]) -> str | None:
  """Find the value of --config in the arguments, or None."""
  source = None
  for index, word in enumerate(argv):
    if match := re.fullmatch(rf'--?{name}(?:=(.*))?', word):
      following = argv[index + 1] if index + 1 < len(argv) else None
      source = following if match[1] is None else match[1]
  return source


def _load(name: str, source: str) -> ml_collections.ConfigDict:
  """Load a config as it is before any field is set."""
  path, *arguments = source.split(':', 1)
  if not os.path.isfile(path):
    raise FileNotFoundError(f'no config file {path!r} (--{name}={source})')
  spec = importlib.util.spec_from_file_location(f'{name}_file', path)
  if spec is None or spec.loader is None:
    raise ValueError(f'config file {path!r} is not a Python file')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  if arguments and not inspect.signature(module.get_config).parameters:
    raise ValueError(f'{path} takes no argument, got {source!r}')
  return module.get_config(*arguments)


def _field_names(
  config: ml_collections.ConfigDict, prefix: str = ''
) -> list[str]:
  names = []
  for key, value in config.items():
    names.append(prefix + key)
    if isinstance(value, ml_collections.ConfigDict):
      names += _field_names(value, f'{prefix}{key}.')
  return names


def _check_fields(name: str, source: str, argv: Sequence[str]) -> None:
  """Refuse fields that the config does not have; suggest the nearest one."""
  known = _field_names(_load(name, source))
  given = [re.match(rf'--?(?:no)?{name}\.([\w.]+)', word) for word in argv]
  for field in [match[1] for match in given if match]:
    if field not in known:
      near = difflib.get_close_matches(field, known, 1, 0.5)
      hint = (
        f'did you mean {near[0]!r}?' if near else f'it has {", ".join(known)}'
      )
      raise ValueError(f'{source} has no field {field!r}; {hint}')


def _parse(argv: list[str]) -> list[str]:
  for name in _config_names():
    source = _config_source(name, argv)
    if source is None:
      source = FLAGS[name].default
      if source is None:
        raise ValueError(f'--{name}=FILE is missing')
      argv = [argv[0], f'--{name}={source}', *argv[1:]]
    _check_fields(name, source, argv)
  rest = FLAGS(argv)
  if len(rest) > 1:
    raise ValueError(f'unexpected argument {rest[1]!r}; flags begin with --')
  return rest


def _fail(error: BaseException) -> None:
  print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
  sys.exit(1)


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

  def parse(argv: list[str]) -> list[str]:
    try:
      return _parse(argv)
    except _INPUT_ERRORS as error:
      if '--debug' in argv:
        raise
      _fail(error)
      raise

  def guarded(argv: list[str]) -> None:
    if not FLAGS['verbosity'].present:  # jax tells what it did not find
      logging.set_verbosity(logging.WARNING)
    try:
      main(argv)
    except _INPUT_ERRORS as error:
      if FLAGS.debug:
        raise
      _fail(error)
    except KeyboardInterrupt:
      print('interrupted', file=sys.stderr)
      sys.exit(130)

  parallel.set_xla_flags()
  app.run(guarded, flags_parser=parse)
