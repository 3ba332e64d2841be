"""The vocabulary in a CLIP tokenizer's folder, checked before it is used."""

from collections.abc import Iterator, Mapping
import pathlib
from typing import Any

from maskjax.training import settings as settings_lib
from maskjax.weights import json_files

SUFFIX = '</w>'
# Ids that a vocabulary may have.
_MOST_TOKENS = 2**24
# Where added tokens stand: a file, and a key of it.
_ADDED = (
  ('added_tokens.json', None),
  ('tokenizer.json', 'added_tokens'),
  ('tokenizer_config.json', 'added_tokens_decoder'),
  ('tokenizer_config.json', 'additional_special_tokens'),
  ('special_tokens_map.json', 'additional_special_tokens'),
)

Pair = tuple[str, str]


def _read_merges(path: pathlib.Path) -> list[Pair]:
  """Read merges.txt: a version line, then one pair a line."""
  merges = []
  try:
    text = path.read_text(encoding='utf-8')
  except UnicodeDecodeError as error:
    raise ValueError(f'{path}: no text ({error})') from error
  for line in text.split('\n'):
    if not line or line.startswith('#version'):
      continue
    pair = line.split(' ')
    if len(pair) != 2:
      raise ValueError(
        f'{path}: expected two symbols a line, got {settings_lib.shown(line)}'
      )
    merges.append((pair[0], pair[1]))
  return merges


def _checked(
  vocab: Any, merges: Any, path: pathlib.Path
) -> tuple[dict[str, int], list[Pair]]:
  """Return a vocabulary and its merges if they can be used together."""
  if not isinstance(vocab, dict) or not isinstance(merges, list):
    raise ValueError(f'{path}: no vocabulary with merges')
  ids = list(vocab.values())
  if not all(type(i) is int and 0 <= i < _MOST_TOKENS for i in ids):
    raise ValueError(
      f'{path}: the ids of a vocabulary are whole numbers from 0 to '
      f'{_MOST_TOKENS - 1}'
    )
  if len(set(ids)) < len(ids):
    raise ValueError(f'{path}: two tokens of the vocabulary have one id')
  pairs = []
  for entry in merges:
    pair = entry.split(' ') if isinstance(entry, str) else entry
    if not isinstance(pair, list | tuple) or len(pair) != 2:
      raise ValueError(
        f'{path}: expected merges of two, got {settings_lib.shown(entry)}'
      )
    left, right = pair
    words = isinstance(left, str) and isinstance(right, str)
    if not words or not {left, right, left + right} <= vocab.keys():
      raise ValueError(
        f'{path}: the merge {settings_lib.shown(entry)} is not of tokens of '
        'the vocabulary'
      )
    pairs.append((left, right))
  return vocab, pairs


def read(
  folder: pathlib.Path,
) -> tuple[dict[str, int], list[Pair]]:
  """Read vocabulary and merges; tokenizer.json wins, as in transformers.

  Args:
    folder: of the tokenizer.

  Returns:
    Ids by token, and merges in their order.

  Raises:
    ValueError: a file is missing, or they are none that can be used together.
  """
  whole = folder / 'tokenizer.json'
  if whole.is_file():
    content = json_files.read(whole)
    model = content.get('model')
    model = model if isinstance(model, dict) else {}
    if model.get('type', 'BPE') != 'BPE' or (
      model.get('end_of_word_suffix') != SUFFIX
    ):
      raise ValueError(
        f'{whole}: expected a BPE model with end_of_word_suffix {SUFFIX!r}, '
        'that is, a CLIP tokenizer'
      )
    return _checked(model.get('vocab'), model.get('merges'), whole)
  for name in ('vocab.json', 'merges.txt'):
    if not (folder / name).is_file():
      raise ValueError(
        f'{folder}: no {name}; a tokenizer folder holds vocab.json and '
        'merges.txt, or tokenizer.json'
      )
  return _checked(
    json_files.read(folder / 'vocab.json'),
    _read_merges(folder / 'merges.txt'),
    folder,
  )


def _contents(tokens: Any) -> Iterator[Any]:
  """Yield the texts of tokens, written as strings or with their flags."""
  if isinstance(tokens, Mapping):
    # By their ids, or ids by the texts.
    tokens = [
      value if isinstance(value, Mapping) else key
      for key, value in tokens.items()
    ]
  for token in tokens if isinstance(tokens, list) else ():
    yield token.get('content') if isinstance(token, Mapping) else token


def check_added(folder: pathlib.Path, special: dict[str, Any]) -> None:
  """Raise ValueError where a folder has tokens that were learned later.

  They stand in several places, and from none of them would a text find them.

  Args:
    folder: of the tokenizer.
    special: the tokens that begin, end and fill a text, by their role.
  """
  known = list(_contents(list(special.values())))
  for name, key in _ADDED:
    path = folder / name
    if not path.is_file():
      continue
    content = json_files.read(path)
    for token in _contents(content if key is None else content.get(key)):
      if token not in known:
        raise ValueError(
          f'{path}: the added token {settings_lib.shown(token)} is none of '
          'those that begin, end and fill a text; learned tokens are not '
          'supported, use the tokenizer without it'
        )
