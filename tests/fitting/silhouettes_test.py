"""A ball is moulded into a head, and the result is a sound file."""

import numpy as np

from maskjax.fitting import silhouettes
from maskjax.geometry import mesh_io, soundness


def test_silhouettes_mould_a_ball_into_a_head(tmp_path):
  head = silhouettes.planted_head('elephant')
  fit = silhouettes.fit(head, size=48, steps=40, level=2)
  # Far from the end (the tutorial takes 200 steps of a finer ball), but on the
  # way: 0.47 to 0.70.
  assert fit.numbers['iou_start'] < 0.5
  assert fit.numbers['iou'] > 0.65
  assert fit.sheet.dtype == np.uint8 and fit.sheet.ndim == 3
  # The sheet shows something: rows are not one colour.
  assert fit.sheet.std() > 20
  mesh_io.save_mesh(tmp_path / 'mesh.glb', fit.mesh)
  back = mesh_io.load_mesh(tmp_path / 'mesh.glb')
  assert len(back.faces) == 20 * 4**2
  report = soundness.report(back)
  assert report.sound, report
