"""Finds a model folder: on this machine, or on the Hugging Face Hub."""

import os
import pathlib
import re

import huggingface_hub

_ID = re.compile(r'[\w.-]+/[\w.-]+')
# A repository may also hold the whole model in single files at its top, and
# networks that are not read here.
_WANTED = (
  '*.json',
  '*.txt',
  '*/*.safetensors',
  'diffusion_pytorch_model*.safetensors',
  'model*.safetensors',
)
_UNWANTED = ('*.non_ema*', 'safety_checker/*', 'feature_extractor/*')


def resolve(
  path_or_id: str | os.PathLike,
  *,
  revision: str | None = None,
  subfolder: str | None = None,
) -> pathlib.Path:
  """Return the local folder of a model.

  Args:
    path_or_id: a folder, or where there is none of that name, the id
      'owner/name' of a repository on the Hub; it is downloaded once and kept
      where `huggingface_hub` keeps its files.
    revision: branch, tag or commit of the repository; None for the main
      branch.
    subfolder: folder in it, e.g. 'unet'; only this one is downloaded.

  Raises:
    ValueError: there is neither such a folder nor such a repository, or it
      cannot be reached; one line.
  """
  name = os.fspath(path_or_id)
  folder = pathlib.Path(name).expanduser()
  if not name or not folder.is_dir():
    if not _ID.fullmatch(name):
      raise ValueError(
        f'{name!r}: no such folder, and not an id "owner/name" of the Hub'
      )
    prefix = f'{subfolder}/' if subfolder else ''
    try:
      folder = pathlib.Path(
        huggingface_hub.snapshot_download(
          name,
          revision=revision,
          allow_patterns=[prefix + pattern for pattern in _WANTED],
          ignore_patterns=list(_UNWANTED),
        )
      )
    except (OSError, ValueError) as error:
      reason = str(error).strip().split('\n')[0] or type(error).__name__
      raise ValueError(
        f'{name}: no such folder, and not to be had from the Hub ({reason})'
      ) from error
  if subfolder:
    folder = folder / subfolder
    if not folder.is_dir():
      raise ValueError(f'{name} has no folder {subfolder!r}')
  return folder
