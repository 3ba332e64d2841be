"""Figures: what masks changed in an evaluation, and curves of a training."""

from collections.abc import Sequence
import pathlib
from typing import Any

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


def save_pairs(
  path: files.PathLike, rows: Sequence[Row], *, fall_percent: float
) -> None:
  """Draw start and result of each kind, shape on the left, looks right.

  Args:
    path: ends in .png.
    rows: from `masks.evaluate`.
    fall_percent: the fall of the distance that is asked for; marked.
  """

  def column(name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], np.float64)

  figure, (left, right) = _new(len(rows), 'From the start shape to the mask')
  before, after = column('chamfer_start_cm'), column('chamfer_cm')
  _pairs(left, before, after, after < before)
  left.scatter(
    before * (1 - fall_percent / 100),
    np.arange(len(rows)),
    marker='|',
    s=160,
    color=_INK,
    label=f'{fall_percent:.0f} % less',
  )
  left.set_xlabel('Chamfer distance to the true mean shape, cm')
  left.set_xlim(left=0.0)
  _label_rows(left, [row['kind'] for row in rows])
  before, after = column('probability_start'), column('probability')
  _pairs(right, before, after, after > before)
  right.set_xlabel("the matcher's probability of the right kind")
  right.set_xlim(-0.03, 1.03)
  handles, words = left.get_legend_handles_labels()
  figure.legend(
    handles,
    words,
    loc='outside lower center',
    ncols=len(words),
    fontsize=8,
    frameon=False,
  )
  _save(figure, path)


def save_ablation(
  path: files.PathLike, rows: Sequence[Row], *, fall_percent: float
) -> None:
  """Draw each variant's fall and probability: a dot a kind, a bar their mean.

  Args:
    path: ends in .png.
    rows: from `masks.evaluate`; the fields before 'kind' name the variant.
    fall_percent: the fall of the distance that is asked for; marked.
  """
  fields = list(rows[0])[: list(rows[0]).index('kind')]
  named: dict[str, list[Row]] = {}
  for row in rows:
    name = '  ·  '.join(str(row[field]) for field in fields)
    named.setdefault(name, []).append(row)
  title = 'Ablation: ' + '  ·  '.join(field.split('.')[-1] for field in fields)
  figure, panels = _new(len(named), title)
  goals = (
    fall_percent,
    float(np.mean([row['probability_start'] for row in rows])),
  )
  values = ('fall_percent', 'probability')
  words = (
    'fall of the Chamfer distance, %',
    "the matcher's probability of the right kind",
  )
  labels = ('asked for', 'mean of the starts')
  for panel, value, word, goal, label in zip(
    panels, values, words, goals, labels
  ):
    means = [np.mean([row[value] for row in group]) for group in named.values()]
    panel.barh(np.arange(len(named)), means, height=0.55, color='#bcd8cb')
    for height, group in enumerate(named.values()):
      panel.scatter(
        [row[value] for row in group],
        np.full(len(group), height),
        s=18,
        color=_BETTER,
        zorder=3,
      )
    panel.axvline(goal, color=_INK, linestyle='--', linewidth=1)
    panel.set_title(f'dashed: {label}', fontsize=8, color=_INK, loc='right')
    panel.set_xlabel(word)
  panels[1].set_xlim(0.0, 1.03)
  _label_rows(panels[0], list(named))
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
