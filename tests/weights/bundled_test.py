import configparser
import pathlib

import pytest

from maskjax.weights import bundled

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize('installed', [False, True])
def test_finds_data_in_a_source_tree_and_in_a_wheel(
  tmp_path, monkeypatch, installed
):
  package = tmp_path / 'maskjax'
  data = (package if installed else tmp_path) / 'third_party' / 'face'
  weights = package / 'assets' / 'prior' / 'unet'
  for folder in (data, weights):
    folder.mkdir(parents=True)
  monkeypatch.setattr(bundled, '_PACKAGE', package)
  assert bundled.third_party_path('face') == data
  assert bundled.bundled_path('prior', 'unet') == weights


def test_finds_what_is_really_there():
  assert bundled.third_party_path('mediapipe', 'LICENSE').is_file()


def test_what_is_bundled_is_small():
  for folder in bundled.bundled_path().iterdir():
    files = [path for path in folder.rglob('*') if path.is_file()]
    sizes = [path.stat().st_size for path in files]
    assert max(sizes) < 16 * 2**20
    assert 1e5 < sum(sizes) < 30e6


@pytest.mark.parametrize(
  'find', [bundled.bundled_path, bundled.third_party_path]
)
def test_missing_file_is_named(find):
  with pytest.raises(FileNotFoundError, match=r'nowhere.* install the package'):
    find('nowhere', 'nothing.txt')


def test_every_room_is_packaged():
  setup = configparser.ConfigParser()
  setup.read(_ROOT / 'setup.cfg')
  packages = setup['options']['packages'].split()
  folders = (_ROOT / 'maskjax').rglob('__init__.py')
  rooms = {'.'.join(p.parent.relative_to(_ROOT).parts) for p in folders}
  outside = {'maskjax.third_party', 'maskjax.configs', 'maskjax.experiments'}
  assert rooms | outside == set(packages)
