"""What wearing a mask can be told; its values are in configs/wear.py."""

import dataclasses

from maskjax.training import settings as settings_lib

_number = settings_lib.number


def _box(value: tuple[float, ...]) -> str | None:
  """Say what is wrong with a box."""
  if not value:
    return None
  if len(value) != 4 or not (value[0] < value[2] and value[1] < value[3]):
    return 'give left, top, right, bottom in pixels, or () to look for a face'
  return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
  """How faces are followed."""

  faces: int = _number(1, 8)  # at most
  fovy: float = _number(0, 120)  # degrees, vertical; 0: estimated
  steadiness: float = _number(0, 1)
  hold: float = _number(0, 0.2)  # seconds that a lost face is waited for
  fade: float = _number(0, 2)  # seconds in which a mask comes and goes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mask:
  """How a mask sits and moves."""

  scale: float = _number(0.3, 4)
  shift: tuple[float, float, float] = _number(-20, 20)  # cm: right, up, front
  fitted: bool  # to the person's head; not: as it was made
  expression: float = _number(0, 2)  # how strongly it follows the face
  occluded: bool  # whether the head hides what is behind it
  opacity: float = _number(0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Light:
  """How a mask is lit and matched to the picture."""

  estimated: bool  # on the face; not: even and white
  tint: float = _number(0, 1)  # how much of the light's colour to keep
  matched: bool  # whether it gets the picture's blur and noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
  """Where a mask goes in an image without a human face."""

  box: tuple[float, ...] = settings_lib.checked(_box)  # of the head, pixels
  # Yaw, pitch and roll of the head, degrees; see `face.pose.angles`.
  pose: tuple[float, float, float] = _number(-180, 180)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
  """What is written beside the video."""

  mask_only: bool  # mask_only.webm, the mask alone with alpha
  motion: bool  # motion.glb, the motion of the first face
  quality: int = _number(0, 40)  # of H.264: 0 is lossless, 18 looks so


@dataclasses.dataclass(frozen=True, kw_only=True)
class WearSettings:
  """All settings of wearing a mask."""

  track: Track
  mask: Mask
  light: Light
  place: Place
  output: Output
