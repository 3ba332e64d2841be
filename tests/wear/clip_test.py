"""From file to file: times, sound and everything beside the mask are kept."""

import json
import os
import subprocess

import imageio_ffmpeg
import numpy as np
from PIL import Image
import pytest

from configs import wear as config_lib
from maskjax.face import photo
from maskjax.geometry import mesh_io
from maskjax.training import settings as settings_lib
from maskjax.wear import clip as clip_lib, settings, video

_FRAMES = 9


def _settings(**changes):
  asked = settings_lib.read(settings.WearSettings, config_lib.get_config())
  changes = {name.replace('__', '.'): v for name, v in changes.items()}
  return settings_lib.changed(asked, changes)


def _write(path, images, sound=True):
  """Write a clip of pictures with ffmpeg itself, five frames a second."""
  height, width, _ = images[0].shape
  note = ('-f', 'lavfi', '-i', 'sine=440', '-shortest', '-c:a', 'aac')
  subprocess.run(
    [
      *(imageio_ffmpeg.get_ffmpeg_exe(), '-loglevel', 'error', '-y'),
      *('-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}'),
      *('-r', '5', '-i', '-', *(note if sound else ())),
      *('-pix_fmt', 'yuv420p', '-crf', '12', str(path)),
    ],
    input=b''.join(np.ascontiguousarray(x).tobytes() for x in images),
    check=True,
  )


@pytest.fixture(scope='module')
def moving(tmp_path_factory):
  """Return a clip of the astronaut, who is gone for the last three frames."""
  astronaut = (255 * photo.astronaut()).astype(np.uint8)[:200]
  images = []
  for index in range(_FRAMES):
    moved = np.roll(astronaut, 3 * index, axis=1)[:, 120:360]
    images.append(np.asarray(Image.fromarray(moved).resize((192, 160))))
  images[6:] = [np.full_like(images[0], 120)] * 3
  path = tmp_path_factory.mktemp('moving') / 'me.mp4'
  _write(path, images)
  return str(path)


def test_a_mask_is_worn_from_file_to_file(tmp_path, moving, small_mask):
  report = clip_lib.run(moving, [small_mask], _settings(), tmp_path)
  assert sorted(os.listdir(tmp_path)) == [
    'mask_only.webm', 'motion.glb', 'report.json', 'report.png', 'worn.mp4',
  ]  # fmt: skip
  given, worn = (video.probe(p) for p in (moving, str(tmp_path / 'worn.mp4')))
  before, after = list(video.read(given)), list(video.read(worn))
  assert [f.time * given.time_base for f in before] == [
    f.time * worn.time_base for f in after
  ]
  assert worn.audio == given.audio == ('aac',)
  changed = [
    np.mean(np.abs(a.image.astype(int) - b.image) > 40)
    for a, b in zip(before, after)
  ]
  # The face is gone at a cut: the mask is there till then, and not after.
  assert min(changed[:6]) > 0.05 and max(changed[6:]) == 0.0
  corner = np.abs(
    before[2].image[:20, :20].astype(int) - after[2].image[:20, :20]
  )
  assert corner.mean() < 4
  written = json.loads((tmp_path / 'report.json').read_text())
  assert written == report
  assert report['frames'] == _FRAMES and report['frames_with_mask'] == 6
  assert report['frames_without_face'] == 3 and report['shots'] == 2
  assert report['said'] == []
  mesh = mesh_io.load_mesh(tmp_path / 'motion.glb')
  assert len(mesh.faces) == len(small_mask.faces)


def test_a_clip_without_a_face_is_told_and_leaves_nothing(tmp_path, small_mask):
  path = tmp_path / 'wall.mp4'
  _write(path, [np.full((160, 192, 3), 120, np.uint8)] * 3, sound=False)
  with pytest.raises(
    ValueError, match=r'no face found in .*3 frames'
  ) as caught:
    clip_lib.run(str(path), [small_mask], _settings(), tmp_path / 'out')
  assert '\n' not in str(caught.value)
  assert os.listdir(tmp_path / 'out') == []


def test_a_clip_of_one_frame_is_worn(tmp_path, small_mask):
  astronaut = (255 * photo.astronaut()).astype(np.uint8)[:200, 120:360]
  image = np.asarray(Image.fromarray(astronaut).resize((192, 160)))
  path = tmp_path / 'one.mp4'
  _write(path, [image], sound=False)
  asked = _settings(output__mask_only=False, output__motion=False)
  report = clip_lib.run(str(path), [small_mask], asked, tmp_path / 'out')
  assert report['frames'] == report['frames_with_mask'] == 1
  assert sorted(os.listdir(tmp_path / 'out')) == [
    'report.json', 'report.png', 'worn.mp4',
  ]  # fmt: skip
