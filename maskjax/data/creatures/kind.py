"""A kind of head is a value: how it is modelled, painted and called.

A file of `kinds/` defines kinds and `table` joins them; to add one, write its
model and give it a row in such a file.
"""

from collections.abc import Callable, Mapping
import dataclasses

from maskjax.data.creatures import anatomy, traits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
  """A kind of head.

  Attributes:
    name: the word for it in data sets and commands.
    model: maps the traits of a head to its strokes.
    names: what captions call it; a name given twice is drawn twice as often.
    palette: {role of colour: sRGB such as '#ff8000'} of the mean head.
    breeds: other usual palettes, drawn beside the mean one; each replaces some
      of its roles. A word of colour in the caption overrides them.
    clashes: {name that says a trait of its own: the modifiers that it does
      not go with}.
    often: whether it is seen twice as often as other kinds.
  """

  name: str
  model: Callable[[traits.Traits], anatomy.Head]
  names: tuple[str, ...]
  palette: Mapping[str, str]
  breeds: tuple[Mapping[str, str], ...] = ()
  clashes: Mapping[str, tuple[str, ...]] = dataclasses.field(
    default_factory=dict
  )
  often: bool = False
