"""Pictures and videos are read back as they were written."""

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pytest

from maskjax.training import media


def test_a_png_keeps_every_byte(tmp_path):
  image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
  media.save_png(tmp_path / 'sub' / 'a.png', image)
  np.testing.assert_array_equal(iio.imread(tmp_path / 'sub' / 'a.png'), image)
  assert [p.name for p in (tmp_path / 'sub').iterdir()] == ['a.png']


def test_a_video_keeps_length_and_speed(tmp_path):
  levels = np.linspace(40, 200, 6).astype(np.uint8)
  frames = np.broadcast_to(levels[:, None, None, None], (6, 24, 40, 3))
  media.save_video(tmp_path / 'a.mp4', frames, frames_per_second=12)
  count, seconds = imageio_ffmpeg.count_frames_and_secs(tmp_path / 'a.mp4')
  assert count == 6
  assert seconds == pytest.approx(0.5, abs=0.02)


def test_a_video_that_is_not_whole_is_an_error(tmp_path, full_disk, capfd):
  frames = np.random.default_rng(0).integers(0, 256, (24, 128, 128, 3), 'u1')
  with pytest.raises(OSError, match=r'cannot write .*a\.mp4') as caught:
    media.save_video(tmp_path / 'a.mp4', frames, frames_per_second=24)
  assert '\n' not in str(caught.value)
  assert list(tmp_path.iterdir()) == [] and capfd.readouterr().err == ''


@pytest.mark.parametrize('cut', [1, 100, 2000])
def test_a_video_that_is_cut_is_known(tmp_path, cut):
  frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), 'u1')
  media.save_video(tmp_path / 'a.mp4', frames, frames_per_second=24)
  assert media._is_whole(tmp_path / 'a.mp4')
  data = (tmp_path / 'a.mp4').read_bytes()
  (tmp_path / 'b.mp4').write_bytes(data[:-cut])
  assert not media._is_whole(tmp_path / 'b.mp4')
