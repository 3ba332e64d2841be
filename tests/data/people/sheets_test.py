"""Contact sheets of people: a row for each where there are several views."""

import numpy as np

from maskjax.data.people import face_images, sheets


def test_people_come_in_rows_of_their_views(monkeypatch):
  asked = []

  def photograph(rng, params, *, views, size, samples):
    asked.append((params.identity, views, samples))
    return {'rgb': np.full((views, size, size, 3), len(asked), np.uint8)}

  monkeypatch.setattr(face_images, 'photograph', photograph)
  sheet = sheets.people_sheet(0, 3, views=2, size=8)
  assert asked == [(0, 2, 24), (1, 2, 24), (2, 2, 24)]
  # A row for each person; white is between and around, if anywhere.
  rows = [k for k in range(len(sheet)) if (sheet[k] < 4).any()]
  order = [int(sheet[k][sheet[k] < 4].max()) for k in rows]
  assert sorted(set(order)) == [1, 2, 3] and order == sorted(order)
  asked.clear()
  sheets.people_sheet(0, 4, size=128)
  assert [row[1:] for row in asked] == [(1, 2)] * 4
