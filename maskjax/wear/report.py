"""How well a mask was worn in a clip: numbers and curves.

Shapes: `n` frames.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxtyping import Float, UInt8
from matplotlib import figure as figure_lib
from matplotlib.backends import backend_agg
import numpy as np

from maskjax.geometry import canonical
from maskjax.training import files
from maskjax.wear import (
  composite,
  lighting,
  smoothing,
  solving,
  tracking,
  video,
)

_EYES = (33, 263)
_RAW, _STEADY, _INK = '#c9ccd1', '#1a7f5a', '#2a2c30'
_COLORS = ('#c2452d', '#1a7f5a', '#2f5fb3')


class Coverage(NamedTuple):
  """How much of the frames the mask covers.

  Attributes:
    frames: counted.
    with_mask: of them with a mask.
    covered: sum of the share that is covered.
  """

  frames: int = 0
  with_mask: int = 0
  covered: float = 0.0

  def add(self, alone: UInt8[np.ndarray, 'h w 4']) -> 'Coverage':
    """Return the coverage with one more frame."""
    share = float(alone[..., 3].mean()) / 255
    return Coverage(
      self.frames + 1, self.with_mask + (share > 0), self.covered + share
    )


def _images(
  motion: solving.Motion, poses: smoothing.Poses, size: tuple[int, int]
) -> Float[np.ndarray, 'n 4 2']:
  """Return where four points of a head are seen, pixels."""
  points = canonical.load().vertices[[*_EYES, 1, 152]].astype(np.float64)
  matrices = smoothing.to_matrices(poses)
  placed = points @ np.swapaxes(matrices[:, :3, :3], 1, 2)
  placed = placed + matrices[:, None, :3, 3]
  focal = motion.intrinsics[[0, 1], [0, 1]]
  seen = placed[..., :2] / placed[..., 2:] * focal + motion.intrinsics[:2, 2]
  return seen * [size[1], size[0]]


def jitter(
  motion: solving.Motion, poses: smoothing.Poses, size: tuple[int, int]
) -> float:
  """Return how much a mask trembles, pixels at 100 between the eyes.

  What third differences of its points have over a smooth motion, told as the
  root mean square way from frame to frame of a head that is still.

  Args:
    motion: of a face.
    poses: raw or steadied.
    size: height and width of a frame.
  """
  places = _images(motion, poses, size)
  eyes = np.linalg.norm(places[:, 0] - places[:, 1], axis=-1)
  numbers = motion.numbers
  same = (numbers[3:] == numbers[:-3]) & (numbers[3:] >= 0)
  bends = np.diff(places, 3, axis=0) / eyes[1:-2, None, None] * 100
  bends = bends[same & np.isfinite(bends).all((1, 2))]
  if not len(bends):
    return 0.0
  # The median, so that quick turns are no trembling. Noise of 1 makes third
  # differences sqrt(20), and the way from frame to frame 2 in the plane.
  noise = np.median(np.abs(bends)) / 0.6745 / np.sqrt(20)
  return float(2 * noise)


def _face_report(
  motion: solving.Motion,
  light: Float[np.ndarray, 'n 9 3'] | None,
  size: tuple[int, int],
) -> dict[str, Any]:
  known = solving.known(motion)
  there = motion.numbers >= 0
  row = {
    'face': motion.face,
    'frames': int(known.sum()),
    'bridged': int((there & ~known).sum()),
    'stretches': int(motion.numbers.max(initial=-1) + 1),
    'jitter_raw_px': round(jitter(motion, motion.raw, size), 3),
    'jitter_px': round(jitter(motion, motion.poses, size), 3),
  }
  if light is not None:
    chosen = light[there & np.isfinite(light).all((1, 2))]
    directions = np.array([lighting.direction(x) for x in chosen])
    if len(directions):
      mean = directions.mean(0)
      mean = mean / max(float(np.linalg.norm(mean)), 1e-9)
      apart = np.degrees(np.arccos(np.clip(directions @ mean, -1, 1)))
      row['light_spread_degrees'] = round(float(apart.std()), 2)
  return row


def summary(
  clip: video.Clip,
  track: tracking.Track,
  motions: Sequence[solving.Motion],
  lights: Sequence[Float[np.ndarray, 'n 9 3'] | None],
  *,
  seconds: Mapping[str, float],
  coverage: Coverage,
  fovy: float,
  look: composite.Look,
) -> dict[str, Any]:
  """Return the report of a clip, what JSON can hold.

  Args:
    clip: the video.
    track: its faces.
    motions: of the faces.
    lights: on the faces, in the camera's frame.
    seconds: what each part took.
    coverage: how much the masks cover.
    fovy: angle of view, degrees.
    look: blur and noise of the clip.
  """
  frames = len(track.times)
  size = (track.height, track.width)
  with_face = np.zeros(frames, bool)
  for motion in motions:
    with_face |= solving.known(motion)
  said = [video.shortfall(clip, frames)]
  said += [f'a sound track ({c}) is left out' for c in video.left_out(clip)]
  spent = sum(seconds.values())
  return {
    'video': clip.path,
    'size': [clip.width, clip.height],
    'frames': frames,
    'seconds': round(float(track.times[-1] - track.times[0]), 3),
    'shots': int(track.cuts.sum()) + 1,
    'sound_tracks': len(clip.audio) - len(video.left_out(clip)),
    'frames_without_face': int((~with_face).sum()),
    'frames_with_mask': int(coverage.with_mask),
    'covered': round(coverage.covered / max(coverage.frames, 1), 4),
    'lag_frames': 0,
    'fovy_degrees': round(fovy, 1),
    'blur_px': round(look.blur, 2),
    'noise': round(255 * look.noise, 2),
    'faces': [
      _face_report(motion, light, size)
      for motion, light in zip(motions, lights)
    ],
    'frames_per_second': round(frames / max(spent, 1e-9), 2),
    'time': {name: round(value, 1) for name, value in seconds.items()},
    'said': [words for words in said if words],
  }


def _angles(poses: smoothing.Poses) -> Float[np.ndarray, 'n 3']:
  """Return yaw, pitch, roll of heads, degrees, see `face.pose.angles`."""
  axes = np.array([[1.0], [-1.0], [-1.0]]) * poses.rotation
  yaw = np.arctan2(axes[:, 0, 2], axes[:, 2, 2])
  pitch = np.arcsin(np.clip(axes[:, 1, 2], -1, 1))
  roll = np.arctan2(-axes[:, 1, 0], axes[:, 1, 1])
  return np.degrees(np.stack([yaw, pitch, roll], -1))


def draw(
  path: files.PathLike,
  track: tracking.Track,
  motions: Sequence[solving.Motion],
  lights: Sequence[Float[np.ndarray, 'n 9 3'] | None],
) -> None:
  """Draw the motion of the first face: raw and steadied, mask, light.

  Args:
    path: ends in .png.
    track: of the clip.
    motions: of its faces.
    lights: on the faces, in the camera's frame.
  """
  figure = figure_lib.Figure(figsize=(10, 8), dpi=110, layout='constrained')
  backend_agg.FigureCanvasAgg(figure)
  panels = figure.subplots(4, 1, sharex=True)
  motion, light, times = motions[0], lights[0], track.times
  raw, steady = _angles(motion.raw), _angles(motion.poses)
  steady[motion.numbers < 0] = np.nan
  for k, name in enumerate(('yaw', 'pitch', 'roll')):
    panels[0].plot(times, raw[:, k], color=_RAW, linewidth=2.5)
    panels[0].plot(times, steady[:, k], color=_COLORS[k], label=name)
  panels[0].set_ylabel('degrees')
  panels[0].legend(loc='upper right', frameon=False, ncols=3)
  panels[1].plot(
    times, np.exp(motion.raw.log_distance), color=_RAW, linewidth=2.5
  )
  distance = np.exp(motion.poses.log_distance)
  distance[motion.numbers < 0] = np.nan
  panels[1].plot(times, distance, color=_STEADY)
  panels[1].set_ylabel('distance, cm')
  for other in motions:
    panels[2].fill_between(times, other.opacity, alpha=0.4, color=_STEADY)
  for cut in times[track.cuts]:
    panels[2].axvline(cut, color=_INK, linestyle=':')
  panels[2].set_ylabel('mask')
  panels[2].set_ylim(0, 1.05)
  if light is not None:
    for k in range(3):
      panels[3].plot(times, light[:, 0, k], color=_COLORS[k])
  panels[3].set_ylabel('light')
  panels[3].set_xlabel('seconds')
  figure.suptitle(
    'How the mask was worn: found (grey) and steadied', color=_INK
  )
  for panel in panels:
    panel.spines[['top', 'right']].set_visible(False)
    panel.grid(color='#e4e6e8')
  with files.replacing(path) as temporary:
    figure.savefig(temporary, metadata={'Software': None})
