"""The kinds of colours that a mask can have, by name.

| kind | what is trained | in the file |
|---|---|---|
| 'vertex' | a colour per vertex or grid point | vertex colours |
| 'uv' | a square image over the start shape's uv map | that image |
| 'hashgrid' | a field over the space of the start shape | an image, baked |

A further one is one more file with a `trainable.Appearance`, and a row here.
"""

from maskjax.mask import color_field, uv_image, vertex_colors

APPEARANCES = {
  'vertex': vertex_colors.APPEARANCE,
  'uv': uv_image.APPEARANCE,
  'hashgrid': color_field.APPEARANCE,
}
