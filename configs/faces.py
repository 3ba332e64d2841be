r"""People with known cameras, for 3D-aware GANs.

  python -m experiments.make_faces --config=configs/faces.py \
    --workdir=out/faces
  python -m experiments.make_faces --config=configs/faces.py:source \
    --workdir=out/source
  python -m experiments.make_faces --config=configs/faces.py:tiny \
    --workdir=out/tiny_faces
"""

import ml_collections

_MODES = ('default', 'large', 'source', 'tiny')


def get_config(mode: str = 'default') -> ml_collections.ConfigDict:
  """Return a config.

  Args:
    mode: default (20,000 pictures at 64 px), large (128 px), source (2,500
      people, each in one moment from eight sides), or tiny.
  """
  if mode not in _MODES:
    raise ValueError(f'mode {mode!r} is not one of {", ".join(_MODES)}')
  config = ml_collections.ConfigDict()
  config.seed = 0

  # Pictures: shards * people * moments * views.
  config.shards = 200
  config.people = 10  # people in a shard
  config.moments = 2  # expressions and lights of a person
  config.views = 5  # cameras of a moment; they share light and backdrop
  config.size = 64  # pixels
  config.samples = 3  # per pixel and axis; 3 are smooth, 2 faster
  config.expression = ''  # a word of expressions.EXPRESSIONS; '': any
  config.backdrop = 'room'  # or 'white'

  # Cameras: standard deviations and limits, radians. 0.3 and 0.155 are the
  # spread of portraits that people take of each other.
  config.yaw = 0.3
  config.pitch = 0.155
  config.limit = (0.85, 0.45)

  if mode == 'large':
    config.size = 128
    config.samples = 2
  if mode == 'source':
    # One w for each person: all but the camera is the same in a person's
    # pictures, and there is nothing behind to be learnt.
    config.shards, config.people = 250, 10
    config.moments, config.views = 1, 8
    config.backdrop = 'white'
    # Wide enough to see ears and profiles: 4 % turn by more than 0.8.
    config.yaw, config.pitch = 0.4, 0.18
  if mode == 'tiny':
    config.shards = 2
    config.people = 1
    config.moments = 1
    config.views = 2
    config.size = 32
    config.samples = 2
  return config
