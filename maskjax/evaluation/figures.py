"""Figures: what masks changed in an evaluation, and curves of a training."""

from collections.abc import Sequence
import pathlib
from typing import Any, NamedTuple

from jaxtyping import Bool, Float
from matplotlib import backend_bases, figure as figure_lib
from matplotlib.backends import backend_agg
import numpy as np

from maskjax.training import files

_START = '#9aa0a6'
_BETTER = '#1a7f5a'
_WORSE = '#c2452d'
_INK = '#2a2c30'

Row = dict[str, Any]


def _new(rows: int, title: str) -> tuple[figure_lib.Figure, np.ndarray]:
  """Return a figure of two panels beside each other, and the panels."""
  figure = figure_lib.Figure(
    figsize=(10, 1.5 + 0.36 * rows), dpi=120, layout='constrained'
  )
  canvas: backend_bases.FigureCanvasBase = backend_agg.FigureCanvasAgg(figure)
  del canvas  # the figure holds it
  panels = figure.subplots(1, 2, sharey=True)
  figure.suptitle(title, fontsize=12, color=_INK)
  for panel in panels:
    panel.grid(axis='x', color='#e4e6e8')
    panel.set_axisbelow(True)
    panel.tick_params(axis='y', length=0)
    panel.spines[['top', 'right', 'left']].set_visible(False)
  return figure, panels


def _label_rows(panel: Any, names: Sequence[str]) -> None:
  """Write a name at each row of a panel, the first at the top."""
  panel.set_yticks(np.arange(len(names)), names, fontsize=9, color=_INK)
  panel.set_ylim(len(names) - 0.4, -0.6)


def _save(figure: figure_lib.Figure, path: files.PathLike) -> None:
  """Write a figure as PNG."""
  # A date or version in the file would make equal figures differ.
  with files.replacing(pathlib.Path(path)) as temporary:
    figure.savefig(temporary, metadata={'Software': None})


def _pairs(
  panel: Any,
  before: Float[np.ndarray, 'n'],
  after: Float[np.ndarray, 'n'],
  better: Bool[np.ndarray, 'n'],
) -> None:
  """Draw a dot for the start, one for the result, and the way between."""
  rows = np.arange(len(before))
  tints = np.where(better, _BETTER, _WORSE)
  panel.hlines(rows, before, after, colors=tints, linewidth=2, alpha=0.6)
  panel.scatter(before, rows, s=36, color=_START, zorder=3, label='start')
  panel.scatter(after, rows, s=48, c=tints, zorder=4, label='result')


class Column(NamedTuple):
  """A number of the rows, as a panel shows it.

  Attributes:
    name: field of a row; `start` that of the start shape.
    words: what is written below the panel.
    goal: what is asked for; marked.
    less: whether less is better.
    limits: of the axis; None: by the numbers.
  """

  name: str
  start: str
  words: str
  goal: float
  less: bool
  limits: tuple[float, float | None]


# What people see of a shape: how its surfaces face, and its outline.
SHAPE = (
  Column(
    name='normals_degrees',
    start='normals_start_degrees',
    words='angle to the normals of the true mean head, degrees',
    goal=14.0,
    less=True,
    limits=(0.0, None),
  ),
  Column(
    name='silhouette',
    start='silhouette_start',
    words='overlap with its silhouette (IoU)',
    goal=0.92,
    less=False,
    limits=(0.0, 1.0),
  ),
)


def _by(rows: Sequence[Row], name: str) -> dict[str, list[Row]]:
  """Return rows by a field, in the order that its values came in."""
  groups: dict[str, list[Row]] = {}
  for row in rows:
    groups.setdefault(row[name], []).append(row)
  return groups


def _means(groups: dict[str, list[Row]], name: str) -> np.ndarray:
  """Return the mean of a number over the rows of each group."""
  return np.array(
    [np.mean([row[name] for row in group]) for group in groups.values()]
  )


def _dots(panel: Any, groups: dict[str, list[Row]], name: str) -> None:
  """Draw each row's number, at the height of its group."""
  for height, group in enumerate(groups.values()):
    values = [row[name] for row in group]
    at = np.full(len(group), height)
    panel.scatter(values, at, s=12, color=_INK, alpha=0.5, zorder=5)


def _legend(figure: figure_lib.Figure, panel: Any) -> None:
  """Write below a figure what the marks of a panel mean."""
  handles, words = panel.get_legend_handles_labels()
  figure.legend(
    handles,
    words,
    loc='outside lower center',
    ncols=len(words),
    fontsize=8,
    frameon=False,
  )


def save_masks(path: files.PathLike, rows: Sequence[Row]) -> None:
  """Draw rows of `mask.evaluation.evaluate`: kinds of one variant, or variants.

  Args:
    path: ends in .png.
    rows: the finished rows.
  """
  several = len({row['variant'] for row in rows}) > 1
  (save_ablation if several else save_pairs)(path, rows)


def save_pairs(path: files.PathLike, rows: Sequence[Row]) -> None:
  """Draw start and result of each kind: normals on the left, outline right.

  Args:
    path: ends in .png.
    rows: from `mask.evaluation.evaluate`, of one variant; small dots are
      seeds, diamonds the results of a perfect teacher, where there are any.
  """
  own = _by([row for row in rows if row['teacher'] != 'perfect'], 'kind')
  bound = _by([row for row in rows if row['teacher'] == 'perfect'], 'kind')
  figure, panels = _new(len(own), 'From the start shape to the mask')
  for panel, column in zip(panels, SHAPE):
    before, after = _means(own, column.start), _means(own, column.name)
    better = after < before if column.less else after > before
    _pairs(panel, before, after, better)
    _dots(panel, own, column.name)
    if bound:
      heights = [list(own).index(kind) for kind in bound]
      panel.scatter(
        _means(bound, column.name),
        heights,
        marker='D',
        s=22,
        facecolors='none',
        edgecolors=_INK,
        label='perfect teacher',
      )
    label = 'asked for'
    panel.axvline(
      column.goal, color=_INK, linestyle='--', linewidth=1, label=label
    )
    panel.set_xlabel(column.words)
    panel.set_xlim(*column.limits)
  _label_rows(panels[0], list(own))
  _legend(figure, panels[0])
  _save(figure, path)


def save_ablation(path: files.PathLike, rows: Sequence[Row]) -> None:
  """Draw each variant's normals and outlines: a dot a mask, a bar their mean.

  Args:
    path: ends in .png.
    rows: from `mask.evaluation.evaluate`; their `variant` names them.
  """
  named = _by(rows, 'variant')
  figure, panels = _new(len(named), 'Ablation')
  for panel, column in zip(panels, SHAPE):
    heights = np.arange(len(named))
    panel.barh(
      heights, _means(named, column.name), height=0.55, color='#bcd8cb'
    )
    _dots(panel, named, column.name)
    start = float(np.mean([row[column.start] for row in rows]))
    panel.axvline(start, color=_START, linewidth=1, label='mean of the starts')
    panel.axvline(
      column.goal, color=_INK, linestyle='--', linewidth=1, label='asked for'
    )
    panel.set_xlabel(column.words)
    panel.set_xlim(*column.limits)
  _label_rows(panels[0], list(named))
  _legend(figure, panels[0])
  _save(figure, path)


def save_curves(
  path: files.PathLike, records: Sequence[Row], keys: Sequence[str]
) -> None:
  """Draw numbers of a training over its steps, a panel each.

  Args:
    path: ends in .png.
    records: lines of `training.metrics.read`.
    keys: what to draw; those that no record has are left out.

  Raises:
    ValueError: no record has any of them.
  """
  shown = [key for key in keys if any(key in record for record in records)]
  if not shown:
    raise ValueError(f'no record has {", ".join(keys)}: nothing to draw')
  columns = min(len(shown), 3)
  rows = -(-len(shown) // columns)
  figure = figure_lib.Figure(
    figsize=(3.4 * columns, 2.4 * rows), dpi=100, layout='constrained'
  )
  canvas: backend_bases.FigureCanvasBase = backend_agg.FigureCanvasAgg(figure)
  del canvas  # the figure holds it
  panels = figure.subplots(rows, columns, squeeze=False).ravel()
  for panel in panels[len(shown) :]:
    panel.set_axis_off()
  for panel, key in zip(panels, shown):
    points = [(r['step'], r[key]) for r in records if r.get(key) is not None]
    steps, values = np.array(points, np.float64).T
    # The line is a mean of what is near; single numbers are behind it.
    width = max(len(values) // 40, 1)
    kernel = np.ones(width)
    smooth = np.convolve(values, kernel, 'same')
    smooth /= np.convolve(np.ones_like(values), kernel, 'same')
    panel.plot(steps, values, color=_START, linewidth=0.7, alpha=0.5)
    panel.plot(steps, smooth, color=_BETTER, linewidth=1.6)
    if values.min() > 0 and values.max() > 20 * values.min():
      panel.set_yscale('log')
    panel.set_title(key, fontsize=9, color=_INK)
    panel.tick_params(labelsize=7)
    panel.grid(color='#e4e6e8')
    panel.set_axisbelow(True)
    panel.spines[['top', 'right']].set_visible(False)
  for panel in panels[max(len(shown) - columns, 0) : len(shown)]:
    panel.set_xlabel('step', fontsize=8)
  _save(figure, path)
