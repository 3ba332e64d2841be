"""Progress on a terminal: step, seconds per step, loss, time left.

On a terminal it is a tqdm bar; in a log file or a pipe it is one plain line
now and then, because redrawn bars make logs unreadable.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import sys
import time
from typing import Any, Protocol, runtime_checkable

import tqdm

Report = Callable[[int, Mapping[str, Any]], None]


@runtime_checkable
class Stream(Protocol):
  """What is written to: standard error, or a file of text."""

  def write(self, text: str, /) -> Any:
    """Write some text."""

  def flush(self) -> Any:
    """Pass on what is written."""

  def isatty(self) -> bool:
    """Return whether it is a terminal."""
    ...


def _words(values: Mapping[str, Any], keys: tuple[str, ...]) -> str:
  """Format the chosen scalars, e.g. 'loss 0.1234'."""
  shown = [f'{key} {float(values[key]):.4g}' for key in keys if key in values]
  return ', '.join(shown)


def _clock(seconds: float) -> str:
  """Format seconds as 1:02:03 or 02:03."""
  return tqdm.tqdm.format_interval(max(0.0, seconds))


def say(words: str, *, file: Stream | None = None) -> None:
  """Tell in a line what goes on where no bar can: it is not counted.

  Args:
    words: what goes on, e.g. 'mask: painting the first image'.
    file: where to write; standard error by default.
  """
  print(words, file=sys.stderr if file is None else file, flush=True)


@contextlib.contextmanager
def _bar(
  total: int | None, start: int, keys: tuple[str, ...], name: str, file: Stream
) -> Iterator[Report]:
  # tqdm's own rate flips to steps/s for fast steps; {postfix} holds ours.
  layout = '{desc}: {n_fmt}/{total_fmt} |{bar}| {elapsed}<{remaining}{postfix}'
  if total is None:
    layout = '{desc}: {n_fmt} {elapsed}{postfix}'
  with tqdm.tqdm(
    total=total,
    initial=start,
    desc=name,
    file=file,
    bar_format=layout,
    dynamic_ncols=True,
    leave=None,  # One bar inside another goes when it is full.
  ) as bar:

    def report(step: int, values: Mapping[str, Any]) -> None:
      words = [_words(values, keys)]
      if step > start:
        pace = (time.monotonic() - began) / (step - start)
        words.insert(0, f'{pace:.3g} s/step')
      bar.set_postfix_str(', '.join(filter(None, words)), refresh=False)
      bar.update(step - bar.n)

    began = time.monotonic()
    yield report


@contextlib.contextmanager
def _lines(
  total: int | None,
  start: int,
  keys: tuple[str, ...],
  name: str,
  file: Stream,
  interval: float,
) -> Iterator[Report]:
  began = time.monotonic()
  last = began - interval

  def report(step: int, values: Mapping[str, Any]) -> None:
    nonlocal last
    now = time.monotonic()
    if now - last < interval and step != total:
      return
    last = now
    words = [f'{name}: step {step}' + (f'/{total}' if total else '')]
    if step > start:
      pace = (now - began) / (step - start)
      words.append(f'{pace:.3g} s/step')
      if total:
        words.append(f'{_clock(pace * (total - step))} left')
    words.append(_words(values, keys))
    print(', '.join(filter(None, words)), file=file, flush=True)

  yield report


@contextlib.contextmanager
def bar(
  total: int | None,
  *,
  start: int = 0,
  keys: tuple[str, ...] = ('loss',),
  name: str = 'training',
  file: Stream | None = None,
  interval: float = 15.0,
) -> Iterator[Report]:
  """Show the progress of a run while the block lasts.

  Args:
    total: step at which the run ends, or None when it is not known.
    start: step at which it begins (after 0 in a resumed run).
    keys: scalars of the metrics to show, in this order.
    name: a word before the bar.
    file: where to write; standard error by default.
    interval: least seconds between two lines when `file` is no terminal.

  Yields:
    `report(step, values)`, to call with finished steps and their metrics.
  """
  file = sys.stderr if file is None else file
  if file.isatty():
    context = _bar(total, start, keys, name, file)
  else:
    context = _lines(total, start, keys, name, file, interval)
  with context as report:
    yield report
