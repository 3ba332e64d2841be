"""Folders and ids of models. No test reaches the network: the Hub's answers
are those of a made-up cache, or of a stand-in for the download."""

import json
import socket
import subprocess
import sys
import time

import huggingface_hub
from huggingface_hub import constants, errors
import pytest

from maskjax.diffusion import model as model_lib
from maskjax.weights import hub
from tests.diffusion import tiny_model

_COMMIT = '0123456789abcdef0123456789abcdef01234567'
_SDXL = {
  '_class_name': 'StableDiffusionXLPipeline',
  'unet': ['diffusers', 'UNet2DConditionModel'],
  'text_encoder_2': ['transformers', 'CLIPTextModelWithProjection'],
  'tokenizer_2': ['transformers', 'CLIPTokenizer'],
  'image_encoder': [None, None],
}


@pytest.fixture
def cache(monkeypatch, tmp_path):
  """Set an empty cache of the Hub, offline; return a maker of repositories."""
  monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))

  def add(name, commit=_COMMIT, branch='main'):
    folder = tmp_path / 'cache' / f'models--{name.replace("/", "--")}'
    (folder / 'refs').mkdir(parents=True, exist_ok=True)
    (folder / 'refs' / branch).write_text(commit)
    snapshot = folder / 'snapshots' / commit
    snapshot.mkdir(parents=True)
    return snapshot

  return add


@pytest.fixture
def downloads(monkeypatch, tmp_path):
  """Answer downloads by a folder; returns what was asked for."""
  asked = []

  def download(name, **options):
    asked.append((name, options))
    return str(tmp_path)

  monkeypatch.setattr(huggingface_hub, 'snapshot_download', download)
  return asked


def _kept(asked, files):
  ((_, options),) = asked
  return list(
    huggingface_hub.utils.filter_repo_objects(
      files,
      allow_patterns=options['allow_patterns'],
      ignore_patterns=options['ignore_patterns'],
    )
  )


def test_a_folder_wins_over_an_id(monkeypatch, tmp_path, downloads):
  (tmp_path / 'owner' / 'model').mkdir(parents=True)
  monkeypatch.chdir(tmp_path)
  assert hub.resolve('owner/model').is_dir()
  assert hub.resolve(tmp_path / 'owner').name == 'owner'
  assert not downloads


def test_an_id_gives_the_model_that_is_in_the_cache(cache):
  snapshot = cache('a/model')
  expected = tiny_model.create_latent(snapshot)
  assert hub.resolve('a/model') == snapshot
  assert hub.resolve('a/model', revision=_COMMIT) == snapshot
  model = model_lib.load('a/model')
  assert model.sample_size == expected.sample_size
  with pytest.raises(ValueError, match='not to be had from the Hub'):
    hub.resolve('a/model', revision='v1')


def test_a_revision_is_found(cache):
  for branch, commit in (('main', _COMMIT), ('v1', _COMMIT[::-1])):
    snapshot = cache('a/net', commit, branch)
    (snapshot / 'config.json').write_text('{"_class_name": "AutoencoderKL"}')
  assert hub.resolve('a/net', revision='v1').name == _COMMIT[::-1]
  assert hub.resolve('a/net').name == _COMMIT


def test_of_a_whole_model_what_is_read_is_fetched(cache, downloads):
  index = {'unet': ['diffusers', 'UNet2DConditionModel'], 'requires': True}
  (cache('a/b') / 'model_index.json').write_text(json.dumps(index))
  hub.resolve('a/b')
  assert downloads[0][1]['revision'] == _COMMIT
  files = [
    'model_index.json',
    'unet/config.json',
    'unet/diffusion_pytorch_model.fp16.safetensors',
    'controlnet_1/config.json',
    'tokenizer/merges.txt',
    'unet/diffusion_pytorch_model.non_ema.safetensors',
    'unet/diffusion_pytorch_model.bin',
    'unet_ema/diffusion_pytorch_model.safetensors',
    'v1-5-pruned.safetensors',
    'v1-5-pruned.ckpt',
    'safety_checker/model.safetensors',
  ]
  assert _kept(downloads, files) == files[:5]


def test_of_one_network_its_own_files_are_fetched(cache, downloads):
  config = '{"_class_name": "ControlNetModel"}'
  (cache('a/controlnet') / 'config.json').write_text(config)
  hub.resolve('a/controlnet')
  files = [
    'config.json',
    'diffusion_pytorch_model.safetensors',
    'diffusion_pytorch_model-00001-of-00002.safetensors',
    'diffusion_pytorch_model.safetensors.index.json',
    'control_v11p_sd15.safetensors',
    'README.md',
  ]
  assert _kept(downloads, files) == files[:4]


def test_what_cannot_be_read_is_refused_before_it_is_fetched(cache, downloads):
  (cache('a/xl') / 'model_index.json').write_text(json.dumps(_SDXL))
  with pytest.raises(ValueError) as caught:
    hub.resolve('a/xl')
  assert str(caught.value) == (
    'a/xl is a StableDiffusionXLPipeline, whose text_encoder_2, tokenizer_2 '
    'cannot be read here; use a model like Stable Diffusion 1 or 2'
  )
  assert not downloads


@pytest.mark.parametrize('name', ['nowhere', '/no/such/folder', 'a/b/c', ''])
def test_what_is_neither_gives_one_line(name, downloads):
  with pytest.raises(ValueError, match='no such folder, and not an id'):
    hub.resolve(name)
  assert not downloads


@pytest.mark.parametrize('name', ['a/nothing', 'a/broken', '-a/--'])
def test_what_cannot_be_had_gives_one_line(cache, name):
  if name == 'a/broken':
    (cache(name) / 'model_index.json').write_text('{')
  with pytest.raises(ValueError) as caught:
    hub.resolve(name)
  message = str(caught.value)
  assert message.startswith(f'{name}: no such folder') and '\n' not in message


def test_a_download_that_breaks_off_gives_one_line(monkeypatch, cache):
  (cache('a/b') / 'config.json').write_text('{}')

  def download(*_, **__):
    raise errors.LocalEntryNotFoundError('offline\nand more')

  monkeypatch.setattr(huggingface_hub, 'snapshot_download', download)
  with pytest.raises(ValueError, match=r'had from the Hub \(offline\)$'):
    hub.resolve('a/b')


@pytest.fixture
def closed(monkeypatch):
  """Point to a Hub at a port of this machine where nobody listens."""
  with socket.create_server(('127.0.0.1', 0)) as server:
    port = server.getsockname()[1]
  monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
  monkeypatch.setattr(constants, 'ENDPOINT', f'http://127.0.0.1:{port}')
  for name in ('http_proxy', 'all_proxy', 'HTTP_PROXY', 'ALL_PROXY'):
    monkeypatch.delenv(name, raising=False)
  return port


def test_a_hub_that_cannot_be_reached_is_told_at_once(closed, cache, capfd):
  began = time.monotonic()
  with pytest.raises(ValueError, match='not to be had from the Hub') as caught:
    hub.resolve('a/model')
  # Its library would try again for a minute, and tell of every time.
  assert time.monotonic() - began < 10
  message = str(caught.value)
  assert message.startswith('a/model: no such folder, not among the models')
  assert '(127.0.0.1: Connection refused); give a folder' in message
  assert '\n' not in message
  assert capfd.readouterr() == ('', '')


def test_without_the_hub_what_was_fetched_is_found(closed, cache):
  snapshot = cache('a/net')
  (snapshot / 'config.json').write_text('{"_class_name": "AutoencoderKL"}')
  assert hub.resolve('a/net') == snapshot


def test_without_the_hub_what_cannot_be_read_is_refused(closed, cache):
  (cache('a/xl') / 'model_index.json').write_text(json.dumps(_SDXL))
  with pytest.raises(ValueError, match='text_encoder_2, tokenizer_2 cannot be'):
    hub.resolve('a/xl')


def test_a_proxy_is_asked_in_place_of_the_hub(closed, monkeypatch):
  with socket.create_server(('127.0.0.1', 0)) as server:
    port = server.getsockname()[1]
    monkeypatch.setenv('http_proxy', f'http://127.0.0.1:{port}')
    monkeypatch.setenv('no_proxy', '')
    assert hub._address() == ('127.0.0.1', port)
    assert hub._absence() is None
  monkeypatch.setenv('no_proxy', '127.0.0.1')
  assert hub._address() == ('127.0.0.1', closed)


def test_neither_library_is_imported_for_a_folder(tmp_path):
  code = (
    'import sys; from maskjax.weights import hub; '
    f'hub.resolve({str(tmp_path)!r}); '
    'sys.exit(not {"diffusers", "torch"}.isdisjoint(sys.modules))'
  )
  subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize('name', ['v1-5.safetensors', 'a/b.ckpt', 'c.bin'])
def test_a_single_file_is_no_folder(monkeypatch, tmp_path, downloads, name):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match='is no folder; give a folder in the'):
    hub.resolve(name)
  (tmp_path / 'a').mkdir()
  (tmp_path / name).write_bytes(b'x')
  with pytest.raises(ValueError, match=r'is a single file.*from_single_file'):
    hub.resolve(name)
  assert not downloads
