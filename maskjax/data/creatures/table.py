"""The table of kinds: everything that is asked of one by its name.

New kinds go last of all: data sets store the number of a kind.
"""

from collections.abc import Mapping

from maskjax.data.creatures import kind as kind_lib
from maskjax.data.creatures.kinds import (
  cats,
  climbers,
  fables,
  farm,
  giants,
  humans,
  hunters,
)

_FAMILIES = (cats, hunters, giants, farm, climbers, humans, fables)
KINDS: Mapping[str, kind_lib.Kind] = {
  kind.name: kind for family in _FAMILIES for kind in family.KINDS
}


def get(name: str) -> kind_lib.Kind:
  """Return a kind by its name.

  Raises:
    ValueError: there is none of that name.
  """
  if name not in KINDS:
    raise ValueError(f'unknown kind {name!r}: use one of {", ".join(KINDS)}')
  return KINDS[name]
