"""Folders and ids of models. No test reaches the network."""

import huggingface_hub
from huggingface_hub import errors
import pytest

from maskjax.weights import hub


@pytest.fixture
def downloads(monkeypatch, tmp_path):
  """Answer downloads by a folder; returns what was asked for."""
  asked = []

  def download(name, **options):
    asked.append((name, options))
    (tmp_path / 'snapshot' / 'unet').mkdir(parents=True, exist_ok=True)
    return str(tmp_path / 'snapshot')

  monkeypatch.setattr(huggingface_hub, 'snapshot_download', download)
  return asked


def test_a_folder_wins_over_an_id(monkeypatch, tmp_path, downloads):
  (tmp_path / 'owner' / 'model' / 'vae').mkdir(parents=True)
  monkeypatch.chdir(tmp_path)
  assert hub.resolve('owner/model').is_dir()
  assert hub.resolve(tmp_path / 'owner').name == 'owner'
  assert hub.resolve('owner/model', subfolder='vae').name == 'vae'
  with pytest.raises(ValueError, match="no folder 'unet'"):
    hub.resolve('owner/model', subfolder='unet')
  assert not downloads


def test_an_id_is_downloaded_without_what_is_not_read(downloads, tmp_path):
  assert hub.resolve('a/b', revision='v1') == tmp_path / 'snapshot'
  ((name, options),) = downloads
  assert (name, options['revision']) == ('a/b', 'v1')
  files = [
    'model_index.json',
    'unet/config.json',
    'unet/diffusion_pytorch_model.fp16.safetensors',
    'unet/diffusion_pytorch_model.non_ema.safetensors',
    'tokenizer/merges.txt',
    'diffusion_pytorch_model.safetensors',
    'v1-5-pruned.safetensors',
    'v1-5-pruned.ckpt',
    'safety_checker/model.safetensors',
    'unet/diffusion_pytorch_model.bin',
  ]
  kept = huggingface_hub.utils.filter_repo_objects(
    files,
    allow_patterns=options['allow_patterns'],
    ignore_patterns=options['ignore_patterns'],
  )
  assert list(kept) == [*files[:3], *files[4:6]]


def test_a_subfolder_alone_is_downloaded(downloads):
  assert hub.resolve('a/b', subfolder='unet').name == 'unet'
  options = downloads[0][1]
  kept = huggingface_hub.utils.filter_repo_objects(
    ['unet/config.json', 'vae/config.json', 'unet/model.safetensors'],
    allow_patterns=options['allow_patterns'],
    ignore_patterns=options['ignore_patterns'],
  )
  assert list(kept) == ['unet/config.json', 'unet/model.safetensors']


@pytest.mark.parametrize('name', ['nowhere', '/no/such/folder', 'a/b/c', ''])
def test_what_is_neither_gives_one_line(name, downloads):
  with pytest.raises(ValueError, match='no such folder, and not an id'):
    hub.resolve(name)
  assert not downloads


@pytest.mark.parametrize(
  'error',
  [
    errors.LocalEntryNotFoundError('offline\nand more'),
    errors.HFValidationError('offline'),
    ConnectionError('offline'),
  ],
)
def test_what_cannot_be_had_gives_one_line(monkeypatch, error):
  def download(*_, **__):
    raise error

  monkeypatch.setattr(huggingface_hub, 'snapshot_download', download)
  with pytest.raises(ValueError) as caught:
    hub.resolve('a/b')
  message = str(caught.value)
  assert message.startswith('a/b: no such folder') and message.endswith(
    '(offline)'
  )
