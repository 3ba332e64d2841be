"""Triangles to images, with gradients; `rasterizer.rasterize` is the way in.

In the order of a pass:

| file | what it does |
|---|---|
| `rasterizer` | checks the arguments, picks sizes and a mode, draws the views |
| `clipping` | cuts faces at the near plane (soft mode, if asked to) |
| `windows` | cuts the faces' boxes into small windows of pixels, walks them |

The soft mode, for shapes that are to be optimised from afar:

| file | what it does |
|---|---|
| `soft` | three sweeps over the windows: nearest depth, sums, derivative |
| `fragments` | what one face adds to one pixel: probability, weight, channels |
| `fragment_gradients` | the derivative of that, by hand |

The hard mode, for what a camera would see:

| file | what it does |
|---|---|
| `hard` | the order of the following |
| `visibility` | the z-buffer: which face each pixel's centre sees |
| `tiles` | lists the pieces of lines that see anything, walks those alone |
| `interpolation` | attributes at the pixels that see a face, and derivative |
| `outline` | which edges are silhouettes, and how many lines they cross |
| `silhouettes` | blends pixels along those edges: the gradient by the shape |

Both call `deferred`, which computes colours per pixel by a shader.
"""
