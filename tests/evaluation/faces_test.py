"""Measuring how well faces are seen."""

import numpy as np
from PIL import Image
import pytest
from skimage import data

from maskjax.evaluation import faces


@pytest.fixture(scope='module')
def taken():
  """Return both pictures of one rendered person."""
  return faces.pictures(1, 0)


def test_identities_are_told_apart_by_their_distances():
  rng = np.random.default_rng(0)
  centers = rng.normal(size=(6, 128))
  groups = [
    list(center + 0.05 * rng.normal(size=(3, 128))) for center in centers
  ]
  result = faces.identity_results(groups)
  assert result['pictures'] == 18 and result['equal_error_rate'] == 0.0
  assert result['same_mean'] < result['threshold'] < result['different_mean']
  expected = 0.05 * np.sqrt(2 * 128)  # of two points of one cloud
  np.testing.assert_allclose(result['same_mean'], expected, rtol=0.1)
  mixed = zip(groups, groups[1:] + groups[:1])
  shuffled = [rows[:1] + other[1:] for rows, other in mixed]
  assert faces.identity_results(shuffled)['equal_error_rate'] > 0.2


@pytest.mark.parametrize('groups', [[], [[np.zeros(128)] * 3]])
def test_too_few_people_are_refused(groups):
  groups = groups or [[np.zeros(128)], [np.ones(128)]]
  with pytest.raises(ValueError, match='identities need two people'):
    faces.identity_results(groups)


def test_a_rendered_person_is_seen_as_they_are(taken):
  first, second = taken
  assert first.rgb.shape == (faces.SIZE, faces.SIZE, 3)
  for picture in (first, second):
    np.testing.assert_allclose(np.linalg.norm(picture.light), 1, atol=1e-5)
    seen = faces.judge(picture)
    assert seen['found'] and seen['landmarks'] < 0.1
    assert seen['turn'] < 15 and seen['light'] < 60
    assert len(seen['embedding']) == 128


def test_a_picture_without_a_face_is_counted_not_raised(taken):
  first, _ = taken
  empty = first._replace(rgb=np.zeros_like(first.rgb))
  assert faces.judge(empty) == {'found': False, 'frontal': first.frontal}


def test_a_broken_off_evaluation_goes_on(tmp_path, monkeypatch):
  rng = np.random.default_rng(0)

  def judge(picture):
    return {
      'found': True, 'frontal': True, 'landmarks': 0.03, 'turn': 2.0,
      'light': 8.0, 'word': True,
      'embedding': (picture + 0.1 * rng.normal(size=128)).tolist(),
    }  # fmt: skip

  asked = []

  def pictures(seed, index):
    if index == 3 and 3 not in asked:
      asked.append(index)
      raise KeyboardInterrupt
    asked.append(index)
    center = np.random.default_rng([seed, index]).normal(size=128)
    return center, center

  monkeypatch.setattr(faces, 'judge', judge)
  monkeypatch.setattr(faces, 'pictures', pictures)
  with pytest.raises(KeyboardInterrupt):
    faces.evaluate(tmp_path, count=5)
  with open(tmp_path / 'people_1.jsonl', 'a', encoding='utf-8') as file:
    file.write('[{"found": tr')  # as a kill leaves it
  results = faces.evaluate(tmp_path, count=5)
  assert asked == [0, 1, 2, 3, 3, 4]
  assert results['identity']['pictures'] == 10
  assert results['planted light']['light_degrees'] == 8.0
  assert results['mixed light']['found_percent'] == 100.0
  assert (tmp_path / 'results.json').exists()
  (tmp_path / 'people_1.jsonl').write_text('nothing\n')
  with pytest.raises(ValueError, match=r'people_1\.jsonl holds no results'):
    faces.evaluate(tmp_path, count=5)
  with pytest.raises(ValueError, match='--count is 1'):
    faces.evaluate(tmp_path, count=1)


def test_photos_are_read_a_folder_for_each_person(taken, tmp_path):
  photo = data.astronaut()[:300, 70:370]
  person = np.uint8(255 * taken[0].rgb)
  for name, picture in (
    ('astronaut/a.png', photo),
    ('astronaut/b.jpg', photo[:, ::-1]),
    ('person/a.png', person),
  ):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(tmp_path / name)
  (tmp_path / 'astronaut' / 'notes.txt').write_text('no picture')
  result = faces.evaluate_photos(tmp_path)
  assert result['pictures'] == 3 and result['equal_error_rate'] == 0.0
  assert result['same_mean'] < 0.4 < 0.5 < result['different_mean']


def test_a_folder_without_people_is_refused(tmp_path):
  with pytest.raises(ValueError, match='no folders; expected one for each'):
    faces.evaluate_photos(tmp_path)
