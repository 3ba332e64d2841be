"""maskjax: 3D masks from words and 3D avatars from photos, in JAX.

Rooms, each imported when it is first used, and where to start reading:

  mask        words to a mask: mask.generate
  wear        a mask on a face in a photo or a video: wear.clip, wear.image
  avatar      pictures, meshes and videos of an EG3D's people: avatar.render
  fitting     a mesh to silhouettes, a mask to a photo: fitting.portrait
  prior       the bundled diffusion model: prior.paint, prior.training
  matcher     the judge of pictures and words: matcher.network
  people_gan  the bundled people: people_gan.stages
  data        creatures, people and styles, rendered: data.shards
  face        faces in photos: face.photo
  evaluation  measures of faces and of generated pictures
  parity      weights of others against PyTorch: parity.networks
  diffusion   Stable Diffusion, samplers, distillation: diffusion.model
  gan         StyleGAN2, EG3D and their training: gan.eg3d
  render      a mesh to a picture, under lights: render.renderer
  studio      views, lights and their words: studio.views
  geometry    meshes, cameras, templates: geometry.mesh, geometry.mesh_io
  weights     formats of others, both ways: weights.keymap
  training    settings, trainer, checkpoints: training.trainer
  kernels     what is tuned for a processor: kernels.attention

Modules are imported by name, `from maskjax.mask import generate`; commands are
listed by `python -m maskjax`.
"""

import importlib
from typing import Any

__version__ = '0.1.0'
_ROOMS = (
  *('mask', 'wear', 'avatar', 'fitting', 'prior', 'matcher', 'people_gan'),
  *('data', 'face', 'evaluation', 'parity', 'diffusion', 'gan', 'render'),
  *('studio', 'geometry', 'weights', 'training', 'kernels'),
)
__all__ = ['__version__', *_ROOMS]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
  """Import a room when it is first used."""
  if name not in _ROOMS:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return importlib.import_module(f'{__name__}.{name}')


def __dir__() -> list[str]:
  """List the rooms, too."""
  return sorted({*globals(), *_ROOMS})
