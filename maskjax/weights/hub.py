"""Finding a model folder: on this machine, or on the Hugging Face Hub.

A repository is first asked what it holds, through the config handling of
diffusers (which needs no PyTorch), so that what cannot be read here is refused
before gigabytes of it are fetched. Both libraries are imported only for an id:
where PyTorch is installed, diffusers brings it along, which takes seconds.
"""

import fnmatch
import os
import pathlib
import re
import socket
import threading
from typing import Any
import urllib.parse
import urllib.request
import warnings

from maskjax.weights import json_files

_ID = re.compile(r'[\w.-]+/[\w.-]+')
_INDEX, _CONFIG = 'model_index.json', 'config.json'
# Parts of a whole model: those that are read, and those that are left.
_READ = ('unet', 'vae', 'text_encoder', 'tokenizer', 'scheduler', 'controlnet*')
_LEFT = ('safety_checker', 'feature_extractor', 'image_encoder')
_WHOLE = (
  _INDEX,
  *(f'{part}/{file}' for part in _READ for file in ('*.json', '*.txt')),
  *(f'{part}/*.safetensors' for part in _READ),
)
# One network alone. Beside it may lie a whole model in a file of another name.
_NETWORK = (
  _CONFIG,
  'diffusion_pytorch_model*.safetensors*',
  'model*.safetensors*',
)
_NEVER = ('*.non_ema*',)
# A whole model in one file, which is no folder and no id.
_SINGLE = ('.safetensors', '.ckpt', '.pt', '.pth', '.bin')
# How long the Hub may take to answer a knock; its library tries for a minute.
_SECONDS = 5.0


def _address() -> tuple[str, int]:
  """Return host and port of the Hub, or of the proxy before it."""
  from huggingface_hub import constants

  url = urllib.parse.urlsplit(constants.ENDPOINT)
  proxies = urllib.request.getproxies()
  proxy = proxies.get(url.scheme) or proxies.get('all')
  if proxy and not urllib.request.proxy_bypass(url.hostname or ''):
    url = urllib.parse.urlsplit(proxy if '//' in proxy else f'//{proxy}')
  return url.hostname or '', url.port or (80 if url.scheme == 'http' else 443)


def _absence() -> str | None:
  """Say why the Hub cannot be reached; None where it answers or is not asked.

  Names are looked up in a thread of their own: without a network that can
  take longer than anybody waits.
  """
  from huggingface_hub import constants

  if constants.is_offline_mode():
    return None
  host, port = _address()
  found = [f'no answer in {_SECONDS:.0f} s']

  def knock() -> None:
    try:
      socket.create_connection((host, port), _SECONDS).close()
      found.append('')
    except OSError as error:
      found.append(error.strerror or str(error))

  thread = threading.Thread(target=knock, daemon=True)
  thread.start()
  thread.join(_SECONDS)
  return f'{host}: {found[-1]}' if found[-1] else None


def _load_config(
  name: str, file: str, revision: str | None, *, local_only: bool = False
) -> tuple[dict[str, Any], str]:
  """Fetch a JSON file of a repository; also returns the commit it is of."""
  with warnings.catch_warnings():
    # Of importing PyTorch, and of how diffusers calls the Hub.
    warnings.simplefilter('ignore')
    import diffusers

    kind: Any = type('_File', (diffusers.ConfigMixin,), {'config_name': file})
    return kind.load_config(
      name,
      revision=revision,
      local_files_only=local_only,
      return_commit_hash=True,
    )


def _check_parts(name: str, index: dict[str, Any]) -> None:
  """Raise ValueError where a whole model has parts that are not read here."""
  parts = [k for k, v in index.items() if isinstance(v, list) and any(v)]
  unknown = [
    part
    for part in parts
    if not any(fnmatch.fnmatch(part, known) for known in (*_READ, *_LEFT))
  ]
  if unknown:
    raise ValueError(
      f'{name} is a {index.get("_class_name")}, whose {", ".join(unknown)} '
      'cannot be read here; use a model like Stable Diffusion 1 or 2'
    )


def _describe(name: str, revision: str | None) -> tuple[tuple[str, ...], str]:
  """Return patterns of the files to fetch, and the commit they are of."""
  from huggingface_hub import errors

  try:
    index, commit = _load_config(name, _INDEX, revision)
  except OSError as error:
    # What lies below: diffusers words every failure anew.
    cause = error.__context__
    cause = cause if isinstance(cause, OSError) else error
    unreached = isinstance(cause, errors.LocalEntryNotFoundError)
    if not isinstance(cause, errors.EntryNotFoundError):
      raise cause from None
    try:
      _, commit = _load_config(name, _CONFIG, revision, local_only=unreached)
    except OSError:
      raise cause from None
    return _NETWORK, commit
  _check_parts(name, index)
  return _WHOLE, commit


def _kept(name: str, revision: str | None, absence: str) -> pathlib.Path:
  """Find a repository where it was fetched to, without asking the Hub.

  diffusers, which takes seconds to import, is not needed for that.
  """
  import huggingface_hub

  for patterns in (_WHOLE, _NETWORK):
    try:
      found = huggingface_hub.snapshot_download(
        name,
        revision=revision,
        allow_patterns=list(patterns),
        ignore_patterns=list(_NEVER),
        local_files_only=True,
      )
    except OSError:
      continue
    index = pathlib.Path(found) / _INDEX
    if index.is_file() == (patterns is _WHOLE):
      if patterns is _WHOLE:
        _check_parts(name, json_files.read(index))
      return index.parent
  raise ValueError(
    f'{name}: no such folder, not among the models fetched before, and not to '
    f'be had from the Hub ({absence}); give a folder, or go online'
  )


def _download(name: str, revision: str | None) -> pathlib.Path:
  """Fetch what is read of a repository, or find it where it was fetched to."""
  import huggingface_hub

  if absence := _absence():
    return _kept(name, revision, absence)
  try:
    patterns, commit = _describe(name, revision)
    folder = huggingface_hub.snapshot_download(
      name,
      revision=commit,
      allow_patterns=list(patterns),
      ignore_patterns=list(_NEVER),
    )
  except OSError as error:
    reason = str(error).strip().split('\n')[0] or type(error).__name__
    raise ValueError(
      f'{name}: no such folder, and not to be had from the Hub ({reason})'
    ) from error
  return pathlib.Path(folder)


def resolve(
  path_or_id: str | os.PathLike, *, revision: str | None = None
) -> pathlib.Path:
  """Return the local folder of a model.

  Args:
    path_or_id: a folder, or where there is none of that name, the id
      'owner/name' of a repository on the Hub; it is downloaded once and kept
      where `huggingface_hub` keeps its files.
    revision: branch, tag or commit of the repository; None for the main
      branch.

  Raises:
    ValueError: there is neither such a folder nor such a repository, it
      cannot be reached, or it holds a model that cannot be read here; one
      line.
  """
  name = os.fspath(path_or_id)
  folder = pathlib.Path(name).expanduser()
  if name and folder.is_dir():
    return folder
  if folder.is_file() or folder.suffix in _SINGLE:
    there = 'is a single file' if folder.is_file() else 'is no folder'
    raise ValueError(
      f'{name!r} {there}; give a folder in the layout of diffusers, which '
      'PyTorch makes of one: StableDiffusionPipeline.from_single_file(FILE)'
      '.save_pretrained(FOLDER)'
    )
  if not _ID.fullmatch(name):
    raise ValueError(
      f'{name!r}: no such folder, and not an id "owner/name" of the Hub'
    )
  return _download(name, revision)
