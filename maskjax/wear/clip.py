"""A mask in a video, from file to file.

A video is read twice: once to follow its faces, whose points go to a file,
and, when the whole motion is known and steadied, once to draw the mask.

Patent: Fig. 12, paragraphs 0025, 0102, 0104, 0111 and 0119.

Shapes: `h w` pixels, `n` frames.
"""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import pathlib
import tempfile
import time
from typing import Any, NamedTuple

from jaxtyping import Float, UInt8
import numpy as np

from maskjax.face import networks
from maskjax.geometry import mesh as mesh_lib, mesh_io
from maskjax.training import files, progress
from maskjax.wear import (
  composite,
  lighting,
  masks as masks_lib,
  motion as motion_lib,
  report as report_lib,
  settings as settings_lib,
  smoothing,
  solving,
  tracking,
  video,
)

# Seconds between two looks at the light.
_LIGHT_EVERY = 0.15
# Frames of a clip that its blur and noise are told by.
_LOOKS = 24
# Seconds of the widest fit at a steadiness of 1.
_WIDEST = 0.6


class Seen(NamedTuple):
  """What is known of a clip after it was looked through.

  Attributes:
    track: its faces.
    light_frames: frames in which the light was estimated.
    light_faces: on which face.
    light: in the camera's frame.
    look: blur and noise.
  """

  track: tracking.Track
  light_frames: list[int]
  light_faces: list[int]
  light: list[Float[np.ndarray, '9 3']]
  look: composite.Look


def follow(
  clip: video.Clip,
  folder: pathlib.Path,
  settings: settings_lib.WearSettings,
  report: tracking.Report,
) -> Seen:
  """Look through a clip: faces, light, blur and noise.

  Args:
    clip: of `video.probe`.
    folder: for the file of records.
    settings: all settings of wearing.
    report: called with the number of each frame.
  """
  nets, state = networks.load(), tracking.State()
  times: list[float] = []
  cuts: list[bool] = []
  light: tuple[list[int], list[int], list[Any]] = ([], [], [])
  looks: list[composite.Look] = []
  fovy = settings.track.fovy or solving.FOVY_DEGREES
  next_light, every = -np.inf, max(clip.frames // _LOOKS, 1)
  path = folder / 'track.bin'
  with path.open('wb') as file:
    for index, frame in enumerate(video.read(clip)):
      state = tracking.step(nets, state, frame.image, most=settings.track.faces)
      seconds = float(frame.time * clip.time_base)
      times.append(seconds)
      cuts.append(state.cut)
      file.write(tracking.records(index, state.faces).tobytes())
      if settings.light.estimated and (state.cut or seconds >= next_light):
        for face in state.faces:
          found = lighting.estimate(frame.image, face.points, fovy)
          if np.all(np.isfinite(found)):
            light[0].append(index)
            light[1].append(face.number)
            light[2].append(found)
            next_light = seconds + _LIGHT_EVERY
      if settings.light.matched and index % every == 0 and len(looks) < _LOOKS:
        looks.append(composite.look_of(frame.image))
      report(index + 1, {})
  if not times:
    raise ValueError(f'{clip.path}: no picture in it can be read')
  records = np.zeros(0, tracking.RECORD)
  if path.stat().st_size:
    records = np.memmap(path, tracking.RECORD, mode='r')
  look = composite.SHARP
  if looks:
    look = composite.Look(*(float(np.median(x)) for x in zip(*looks)))
  track = tracking.Track(
    np.array(times), np.array(cuts), records, clip.height, clip.width
  )
  return Seen(track, *light, look=look)


def _lights(
  seen: Seen, motion: solving.Motion
) -> Float[np.ndarray, 'n 9 3'] | None:
  """Return the light on a face at every frame, in the camera's frame."""
  shots = np.cumsum(seen.track.cuts)
  result = np.full((len(shots), 9, 3), np.nan)
  frames = np.array(seen.light_frames, int)
  mine = np.array(seen.light_faces, int) == motion.face
  for shot in range(int(shots[-1]) + 1):
    inside = np.flatnonzero(shots == shot)
    chosen = np.flatnonzero(mine & np.isin(frames, inside))
    if len(chosen):
      samples = np.stack([seen.light[k] for k in chosen])
      result[inside] = lighting.steadied(
        seen.track.times[inside], seen.track.times[frames[chosen]], samples
      )
  return None if np.isnan(result).all() else result


class _Worn(NamedTuple):
  """A face with its mask."""

  motion: solving.Motion
  prepared: masks_lib.Prepared
  light: Float[np.ndarray, 'n 9 3'] | None


def _solved(
  seen: Seen,
  masks: list[mesh_lib.Mesh],
  settings: settings_lib.WearSettings,
) -> tuple[list[_Worn], float]:
  """Return every face with its mask, and the angle of view."""
  track, asked = seen.track, settings.track
  fovy = asked.fovy or solving.angle_of_view(track)
  worn = []
  for index, face in enumerate(tracking.faces_of(track)):
    motion = solving.solve(
      track,
      face,
      fovy=fovy,
      width=_WIDEST * asked.steadiness,
      hold=asked.hold,
      fade=asked.fade,
    )
    mask = masks[index % len(masks)]
    prepared = masks_lib.prepare(mask, motion.shape, settings.mask)
    worn.append(_Worn(motion, prepared, _lights(seen, motion)))
  return worn, fovy


def _draw(
  image: UInt8[np.ndarray, 'h w 3'],
  index: int,
  faces: list[_Worn],
  seen: Seen,
  settings: settings_lib.WearSettings,
) -> tuple[UInt8[np.ndarray, 'h w 3'], UInt8[np.ndarray, 'h w 4']]:
  """Draw all masks of a frame, the farthest first."""
  alone = np.zeros((*image.shape[:2], 4), np.uint8)
  there = [face for face in faces if face.motion.opacity[index] > 0]
  there.sort(key=lambda face: -face.motion.poses.log_distance[index])
  for face in there:
    motion = face.motion
    moves = solving.expression(seen.track, motion, index)
    surface = masks_lib.moved(face.prepared, moves, settings.mask.expression)
    harmonics = None
    if face.light is not None and np.isfinite(face.light[index]).all():
      rotation = motion.poses.rotation[index]
      harmonics = lighting.turned(face.light[index], rotation.T)
    image, own = composite.wear(
      image,
      surface,
      solving.camera(motion, index),
      lighting.on_mask(harmonics, tint=settings.light.tint),
      seen.look,
      opacity=settings.mask.opacity * float(motion.opacity[index]),
      seed=index,
    )
    alpha = own[..., 3:].astype(np.uint16)
    alone = np.where(alpha > 0, own, alone)
  return image, alone


def _save_motion(
  path: pathlib.Path,
  worn: _Worn,
  mask: mesh_lib.Mesh,
  track: tracking.Track,
  fovy: float,
) -> None:
  """Write the mask with the motion of one face."""
  count = len(mask.vertices)
  rest = dataclasses.replace(
    mask, vertices=worn.prepared.surface.vertices[:count]
  )
  with tempfile.TemporaryDirectory() as folder:
    still = pathlib.Path(folder) / 'mask.glb'
    mesh_io.save_mesh(still, rest)
    glb = still.read_bytes()
  there = np.flatnonzero(worn.motion.numbers >= 0)
  poses = smoothing.Poses(*(field[there] for field in worn.motion.poses))
  files.write_bytes(
    path,
    motion_lib.animated(
      glb,
      track.times[there],
      smoothing.to_matrices(poses),
      fovy=fovy,
      aspect=track.width / track.height,
    ),
  )


@contextlib.contextmanager
def _maybe(
  path: pathlib.Path, clip: video.Clip, settings: settings_lib.WearSettings
) -> Iterator[Callable[[video.Frame], None]]:
  """Write the mask alone, where it is asked for."""
  if not settings.output.mask_only:
    yield lambda frame: None
    return
  with video.writing(path, clip, sound=False) as put:
    yield put


def run(
  path: str,
  masks: list[mesh_lib.Mesh],
  settings: settings_lib.WearSettings,
  workdir: str | pathlib.Path,
) -> dict[str, Any]:
  """Put masks on the faces of a video, from file to file.

  Leaves worn.mp4, mask_only.webm, motion.glb, report.json and report.png.

  Args:
    path: of the video.
    masks: of `masks.load`; each face gets the next one.
    settings: all settings of wearing.
    workdir: folder of the results.

  Returns:
    The report.

  Raises:
    ValueError: no video, or no face in it; one line.
  """
  clip, folder = video.probe(path), pathlib.Path(workdir)
  folder.mkdir(parents=True, exist_ok=True)
  began = time.monotonic()
  total = clip.frames or None
  with tempfile.TemporaryDirectory(dir=folder, prefix='.track-') as place:
    with progress.bar(total, name='looking', interval=5.0) as tell:
      seen = follow(clip, pathlib.Path(place), settings, tell)
    looked = time.monotonic()
    if not len(seen.track.records):
      raise ValueError(
        f'no face found in {path} ({len(seen.track.times)} frames); it should '
        'be upright and look at the camera at least for a moment'
      )
    faces, fovy = _solved(seen, masks, settings)
    frames = len(seen.track.times)
    hidden = report_lib.Coverage()
    with (
      video.writing(
        folder / 'worn.mp4', clip, quality=settings.output.quality
      ) as put,
      _maybe(folder / 'mask_only.webm', clip, settings) as put_mask,
      progress.bar(frames, name='wearing', interval=5.0) as tell,
    ):
      for index, frame in enumerate(video.read(clip)):
        image, alone = _draw(frame.image, index, faces, seen, settings)
        put(frame._replace(image=image))
        put_mask(frame._replace(image=alone))
        hidden = hidden.add(alone)
        tell(index + 1, {})
    if settings.output.motion:
      _save_motion(folder / 'motion.glb', faces[0], masks[0], seen.track, fovy)
    done = time.monotonic()
    report = report_lib.summary(
      clip,
      seen.track,
      [face.motion for face in faces],
      [face.light for face in faces],
      seconds={'looking': looked - began, 'wearing': done - looked},
      coverage=hidden,
      fovy=fovy,
      look=seen.look,
    )
    files.write_json(folder / 'report.json', report)
    report_lib.draw(
      folder / 'report.png',
      seen.track,
      [face.motion for face in faces],
      [face.light for face in faces],
    )
  return report
