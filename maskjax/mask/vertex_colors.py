"""Colours of a mask, one for each place of its geometry.

The places are the vertices, where these stay the same, and the grid points of
a volume, from which its vertices take theirs.
"""

import jax

from maskjax.mask import trainable

APPEARANCE = trainable.Appearance(
  check=lambda geometry: None,
  atlas_size=lambda settings: None,
  rate=lambda optimizer: optimizer.color_rate,
  create=lambda base, spread, colors, size: trainable.logits(
    spread(base, colors)
  ),
  values=jax.nn.sigmoid,
  texture=lambda base, colors, origins: None,
  bake=lambda base, colors, mesh, origins, size: mesh,
)
