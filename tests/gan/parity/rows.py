"""Rows of a comparison with goldens, their tolerances, and layouts.

A golden array is reproduced if no element is off by more than ten times the
float32 noise that was measured on the reference for that array, and never by
more than 1e-4 of its largest element; the latter alone where no noise was
measured.
"""

from collections.abc import Iterable, Iterator, Mapping
import dataclasses
import json
import math
import os
import pathlib
import re
from typing import Any, NamedTuple

import jax
import numpy as np

NOISE_FACTOR = 10.0
RELATIVE = 1e-4
# Half a dozen roundings: arrays whose measured noise is nearly zero.
_ROUNDINGS = 5e-7


class Row(NamedTuple):
  """One array.

  Attributes:
    file: name of the golden file.
    array: name of the array in it.
    shape: of the array.
    error: largest absolute error; NaN if there was nothing to compare.
    scale: largest absolute value of the golden.
    tolerance: largest absolute error that passes.
    note: what else is to be said.
  """

  file: str
  array: str
  shape: tuple[int, ...]
  error: float
  scale: float
  tolerance: float
  note: str = ''

  @property
  def relative(self) -> float:
    """Largest error over the largest value."""
    return self.error / self.scale if self.scale else self.error

  @property
  def passed(self) -> bool:
    """Whether the error is within the tolerance; NaN is not."""
    return self.error <= self.tolerance

  def __str__(self) -> str:
    """Return one line of the table."""
    verdict = 'pass' if self.passed else 'FAIL'
    shape = 'x'.join(map(str, self.shape)) or '1'
    return (
      f'{self.file:<16} {self.array:<48} {shape:<14} {self.error:9.2e} '
      f'{self.relative:9.2e} {self.tolerance:9.2e}  {verdict}  {self.note}'
    ).rstrip()


def tolerance_of(noise: float | None, scale: float) -> float:
  """Return the largest absolute error that passes.

  Args:
    noise: of the reference in float32, None if not measured.
    scale: largest absolute value of the golden.
  """
  loosest = RELATIVE * scale
  if noise is None:
    return loosest
  return min(max(NOISE_FACTOR * noise, _ROUNDINGS * scale), loosest)


@dataclasses.dataclass(frozen=True)
class Golden:
  """One golden file.

  Attributes:
    name: of the file.
    arrays: by name.
    meta: the parameters it was made with.
    noise: measured float32 noise of arrays, value first, by name.
  """

  name: str
  arrays: Mapping[str, Any]
  meta: Mapping[str, Any]
  noise: Mapping[str, Any]

  def __getitem__(self, name: str) -> Any:
    """Return an array.

    Raises:
      ValueError: it is not there.
    """
    if name not in self.arrays:
      raise ValueError(f'{self.name} has no array {name}')
    return self.arrays[name]

  def __contains__(self, name: object) -> bool:
    return name in self.arrays

  def under(self, prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays below a prefix, by the rest of their names."""
    return {
      name.removeprefix(prefix): value
      for name, value in self.arrays.items()
      if name.startswith(prefix)
    }


def load(
  path: str | os.PathLike[str], noise: Mapping[str, Any] | None = None
) -> Golden:
  """Open a golden file.

  Args:
    path: of an .npz file.
    noise: see `Golden`.
  """
  with np.load(path) as content:
    arrays = {name: content[name] for name in content.files}
  meta = json.loads(str(arrays.pop('meta', '{}')))
  return Golden(pathlib.Path(path).name, arrays, meta, noise or {})


def compare(
  golden: Golden, name: str, ours: Any, *, tolerance: float | None = None
) -> Row:
  """Compare an array with ours.

  Args:
    golden: file.
    name: of the array.
    ours: in the golden's layout.
    tolerance: absolute; None for that of the module's docstring.
  """
  value, ours = golden[name], np.asarray(ours)
  scale = float(np.abs(value).max(initial=0.0))
  if tolerance is None:
    entry = golden.noise.get(name)
    tolerance = tolerance_of(None if entry is None else entry[0], scale)
  row = Row(golden.name, name, value.shape, math.nan, scale, tolerance)
  if value.shape != ours.shape:
    return row._replace(note=f'ours has the shape {ours.shape}')
  # Equal infinities are equal.
  with np.errstate(invalid='ignore'):
    error = np.where(value == ours, 0.0, np.abs(ours - value))
  return row._replace(error=float(error.max(initial=0.0)))


def compare_known(
  golden: Golden, values: Mapping[str, Any], *, tolerance: float | None = None
) -> Iterator[Row]:
  """Compare those of our arrays that the golden has, see `compare`.

  Args:
    golden: file.
    values: our arrays by name, in the golden's layout.
    tolerance: see `compare`.
  """
  for name, ours in values.items():
    if name in golden:
      yield compare(golden, name, ours, tolerance=tolerance)


def unusable(path: pathlib.Path, reason: str) -> Row:
  """Return a failing row for a file that cannot be compared."""
  reason = ' '.join(reason.split())
  return Row(path.name, '', (), math.nan, 0.0, 0.0, reason)


def left_out(golden: Golden, rows: Iterable[Row], inputs: str) -> Iterator[Row]:
  """Yield a failing row for each array that nothing was compared with.

  Args:
    golden: file.
    rows: of its comparisons.
    inputs: regular expression of the names that are not results.
  """
  done = {row.array for row in rows}
  for name, value in golden.arrays.items():
    if name not in done and not re.fullmatch(inputs, name):
      yield Row(
        golden.name, name, value.shape, math.nan, 0.0, 0.0, 'not compared'
      )


def channels_last(x: Any) -> Any:
  """Move the second axis to the end, of NumPy's or of jax's arrays."""
  return np.moveaxis(x, 1, -1)


def channels_first(x: Any) -> Any:
  """Move the last axis to the second place."""
  return np.moveaxis(x, -1, 1)


def exact_jit(function: Any) -> Any:
  """Compile a function with full float32 products on every device.

  Each program runs once: on a CPU it is not optimised, which would take
  several times as long as running it.
  """
  options = None
  if jax.default_backend() == 'cpu':
    options = {'xla_backend_optimization_level': 0}
  compiled = jax.jit(function, compiler_options=options)

  def call(*inputs):
    with jax.default_matmul_precision('highest'):
      return jax.tree.map(np.asarray, compiled(*inputs))

  return call
