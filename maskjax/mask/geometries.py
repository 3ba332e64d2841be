"""The kinds of shape that a mask can have, by name.

A further one is one more file with a `trainable.Geometry`, and a row here.
"""

from maskjax.mask import sdf, vertices

GEOMETRIES = {'vertices': vertices.GEOMETRY, 'sdf': sdf.GEOMETRY}
