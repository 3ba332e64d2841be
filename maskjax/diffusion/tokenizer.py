"""Byte-level BPE text tokenizer in CLIP's file format.

Reads and writes the `tokenizer/` folder of a Stable Diffusion checkpoint
(`vocab.json`, `merges.txt`, `special_tokens_map.json`,
`tokenizer_config.json`; `tokenizer.json` is read when present), and trains a
small vocabulary of the same kind; `known_words.txt` beside it lists the words
that it was trained on, one a line, so that a user can be told of others.

Text is normalised as transformers' CLIPTokenizer does it: NFC, white space
collapsed, lower case, words split at letters, single digits and punctuation,
bytes mapped to printable characters, `</w>` at the end of a word.

Shapes: B texts, T = model_max_length tokens.
Source: Radford et al. 2103.00020, section 2.4; Sennrich et al. 1508.07909.
"""

import collections
from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import itertools
import json
import pathlib
import re
from typing import Any, NamedTuple

from jaxtyping import Int
import numpy as np
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from maskjax.diffusion import vocabulary
from maskjax.training import settings as settings_lib
from maskjax.weights import json_files

START = '<|startoftext|>'
END = '<|endoftext|>'
_KNOWN = 'known_words.txt'
_LETTERS = r'[^\W\d_]+'
_WORDS = (
  r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
  r'|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+'
)

# Above, a length is transformers' way to say that none is known.
_NO_LENGTH = 10**6

_SPECIAL = {
  'bos_token': START,
  'eos_token': END,
  'pad_token': END,
  'unk_token': END,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokenizer:
  """A loaded vocabulary.

  Attributes:
    backend: the library's tokenizer.
    start_id: id of the token before a text.
    end_id: id of the token after a text.
    pad_id: id of the token that fills texts up.
    max_length: T, tokens of a text, start and end included.
    known: the words that it was trained on; empty where that is not said.
  """

  backend: tokenizers.Tokenizer
  start_id: int
  end_id: int
  pad_id: int
  max_length: int
  known: frozenset[str] = frozenset()

  @property
  def vocab_size(self) -> int:
    """Number of token ids, up to the highest, special tokens included."""
    return 1 + max(self.backend.get_vocab(with_added_tokens=True).values())


class Tokens(NamedTuple):
  """Tokens of texts.

  Attributes:
    ids: of the tokens, int32.
    cut: what of each text had no room, '' for nothing.
  """

  ids: Int[np.ndarray, 'b t']
  cut: tuple[str, ...]


def _special_token(token: str | dict[str, Any]) -> tokenizers.AddedToken:
  """Return a special token, written as a string or with its flags."""
  if isinstance(token, str):
    token = {'content': token}
  if not isinstance(token, dict) or not isinstance(token.get('content'), str):
    raise ValueError(f'{settings_lib.shown(token)} is no token')
  flags = ('single_word', 'lstrip', 'rstrip', 'normalized')
  return tokenizers.AddedToken(
    token['content'],
    special=True,
    **{flag: token.get(flag) is True for flag in flags},
  )


def _normalizer() -> normalizers.Normalizer:
  """Return: NFC, white space collapsed to one blank, lower case."""
  return normalizers.Sequence(
    [
      normalizers.NFC(),
      normalizers.Replace(tokenizers.Regex(r'\s+'), ' '),
      normalizers.Lowercase(),
    ]
  )


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
  """Return: words by CLIP's pattern, their bytes as printable characters."""
  return pre_tokenizers.Sequence(
    [
      pre_tokenizers.Split(
        tokenizers.Regex(_WORDS), behavior='removed', invert=True
      ),
      pre_tokenizers.ByteLevel(add_prefix_space=False),
    ]
  )


def _build(
  vocab: dict[str, int],
  merges: list[vocabulary.Pair],
  special: dict[str, Any],
  max_length: int,
) -> Tokenizer:
  """Put a vocabulary, its merges and special tokens together."""
  tokens = {role: _special_token(token) for role, token in special.items()}
  special = {role: token.content for role, token in tokens.items()}
  for role, content in special.items():
    if content not in vocab:
      raise ValueError(f'{role} {content!r} is not in the vocabulary')
  if max_length < 3:
    raise ValueError(
      f'max_length {max_length} leaves no room for a word between the start '
      'and end tokens; use 3 or more'
    )
  backend = tokenizers.Tokenizer(
    models.BPE(
      vocab=vocab,
      merges=merges,
      continuing_subword_prefix='',
      end_of_word_suffix=vocabulary.SUFFIX,
      fuse_unk=False,
      unk_token=special['unk_token'],
    )
  )
  backend.normalizer = _normalizer()
  backend.pre_tokenizer = _pre_tokenizer()
  # A special token that is spelled out in the text counts as that token.
  backend.add_special_tokens(list(tokens.values()))
  return Tokenizer(
    backend=backend,
    start_id=vocab[special['bos_token']],
    end_id=vocab[special['eos_token']],
    pad_id=vocab[special['pad_token']],
    max_length=max_length,
  )


def load(
  folder: str | pathlib.Path,
  *,
  max_length: int | None = None,
  most: int | None = None,
) -> Tokenizer:
  """Open a CLIP tokenizer folder.

  Args:
    folder: folder with vocab.json and merges.txt, or tokenizer.json.
    max_length: tokens a text is padded or cut to, start and end included;
      None takes model_max_length of tokenizer_config.json.
    most: tokens that the text encoder takes; stands in for a length that is
      not in the file, or there as a very large number.

  Returns:
    The tokenizer.

  Raises:
    ValueError: a file is missing or broken, or no length is known.
  """
  folder = pathlib.Path(folder)
  if not folder.is_dir():
    raise ValueError(f'{folder}: no such tokenizer folder')
  vocab, merges = vocabulary.read(folder)
  settings = {}
  for name in ('special_tokens_map.json', 'tokenizer_config.json'):
    if (folder / name).is_file():
      settings.update(json_files.read(folder / name))
  special = dict(_SPECIAL)
  for role in special:
    if settings.get(role) is not None:
      special[role] = settings[role]
  vocabulary.check_added(folder, special)
  if max_length is None:
    max_length = settings.get('model_max_length')
    if not isinstance(max_length, int | float | None):
      raise ValueError(
        f'{folder}: model_max_length is {settings_lib.shown(max_length)}; '
        'expected a whole number'
      )
    if max_length is None or max_length > _NO_LENGTH:
      max_length = most
  if max_length is None:
    raise ValueError(
      f'{folder}: no model_max_length in tokenizer_config.json; add it or '
      'pass max_length (77 for Stable Diffusion)'
    )
  try:
    tokenizer = _build(vocab, merges, special, int(max_length))
    return dataclasses.replace(tokenizer, known=_read_known(folder))
  except ValueError as error:
    raise ValueError(f'{folder}: {error}') from error


def _read_known(folder: pathlib.Path) -> frozenset[str]:
  """Return the words that a vocabulary was trained on, none if not said."""
  path = folder / _KNOWN
  if not path.is_file():
    return frozenset()
  return frozenset(path.read_text(encoding='utf-8').split())


def _words_in(text: str) -> list[str]:
  """Return the words of a text, in small letters."""
  return re.findall(_LETTERS, _normalizer().normalize_str(text))


def unknown_words(tokenizer: Tokenizer, text: str) -> list[str]:
  """Return the words of a text that a vocabulary was not trained on.

  Args:
    tokenizer: what `load` or `train` returned.
    text: a prompt.

  Returns:
    The words in small letters, each once; none where the vocabulary does not
    say what it was trained on.
  """
  if not tokenizer.known:
    return []
  words = dict.fromkeys(_words_in(text))
  return [word for word in words if word not in tokenizer.known]


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
  """Turn texts into padded token ids and say what was cut.

  Args:
    tokenizer: what `load` or `train` returned.
    texts: B strings; an empty string gives the unconditional row.

  Returns:
    ids int32 [B, T]: start, words, end, padding; and the end of each text
    from the first token that had no room.

  Raises:
    ValueError: texts is one string or holds something else than strings.
  """
  if isinstance(texts, str) or not all(isinstance(t, str) for t in texts):
    raise ValueError('texts must be a list of strings, e.g. ["a tiger"]')
  room = tokenizer.max_length - 2
  shape = (len(texts), tokenizer.max_length)
  ids = np.full(shape, tokenizer.pad_id, np.int32)
  cut = []
  encodings = tokenizer.backend.encode_batch(
    list(texts), add_special_tokens=False
  )
  for row, encoding in enumerate(encodings):
    words = encoding.ids[:room]
    ids[row, : len(words) + 2] = [
      tokenizer.start_id,
      *words,
      tokenizer.end_id,
    ]
    beyond = encoding.offsets[room:]
    cut.append(texts[row][beyond[0][0] :] if beyond else '')
  return Tokens(ids, tuple(cut))


def encode(
  tokenizer: Tokenizer, texts: Sequence[str]
) -> Int[np.ndarray, 'b t']:
  """Turn texts into padded token ids; what has no room is cut silently.

  Args:
    tokenizer: what `load` or `train` returned.
    texts: B strings; an empty string gives the unconditional row.

  Returns:
    int32: start, words, end, padding.

  Raises:
    ValueError: texts is one string or holds something else than strings.
  """
  return tokenize(tokenizer, texts).ids


def known_words(captions: Iterable[str]) -> list[str]:
  """Return all words of captions, in small letters, sorted."""
  return sorted({word for text in set(captions) for word in _words_in(text)})


def _count_words(captions: Iterable[str]) -> collections.Counter:
  """Count byte-level words as tuples of symbols, the last with `</w>`."""
  normalizer, pre_tokenizer = _normalizer(), _pre_tokenizer()
  counts: collections.Counter = collections.Counter()
  for text, repeats in collections.Counter(captions).items():
    clean = normalizer.normalize_str(text)
    for word, _ in pre_tokenizer.pre_tokenize_str(clean):
      counts[(*word[:-1], word[-1] + vocabulary.SUFFIX)] += repeats
  return counts


def _merge(word: tuple[str, ...], pair: vocabulary.Pair) -> tuple[str, ...]:
  """Join every occurrence of the pair in a word, from the left."""
  merged, i = [], 0
  while i < len(word):
    step = 2 if word[i : i + 2] == pair else 1
    merged.append(''.join(word[i : i + step]))
    i += step
  return tuple(merged)


def _learn_merges(counts: collections.Counter) -> Iterator[vocabulary.Pair]:
  """Yield the most frequent pair again and again; ties by spelling."""
  words = sorted(counts.items())
  pairs = collections.Counter()
  places = collections.defaultdict(set)
  for index, (word, count) in enumerate(words):
    for pair in itertools.pairwise(word):
      pairs[pair] += count
      places[pair].add(index)
  while pairs:
    best = min(pairs, key=lambda pair: (-pairs[pair], pair))
    if pairs[best] < 2:
      return
    yield best
    for index in places.pop(best):
      word, count = words[index]
      merged = _merge(word, best)
      for pair in itertools.pairwise(word):
        pairs[pair] -= count
        if pairs[pair] <= 0:
          del pairs[pair]
      for pair in itertools.pairwise(merged):
        pairs[pair] += count
        places[pair].add(index)
      words[index] = (merged, count)


def _write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
  """Write JSON readably, the same bytes on every machine."""
  text = json.dumps(value, ensure_ascii=False, indent=2)
  path.write_text(text + '\n', encoding='utf-8')


def _write(
  folder: pathlib.Path,
  vocab: dict[str, int],
  merges: list[vocabulary.Pair],
  max_length: int,
) -> None:
  """Write the four files of a CLIP tokenizer folder."""
  folder.mkdir(parents=True, exist_ok=True)
  _write_json(folder / 'vocab.json', vocab)
  lines = ['#version: 0.2', *(f'{left} {right}' for left, right in merges)]
  (folder / 'merges.txt').write_text('\n'.join(lines) + '\n', encoding='utf-8')
  _write_json(folder / 'special_tokens_map.json', _SPECIAL)
  _write_json(
    folder / 'tokenizer_config.json',
    {
      'tokenizer_class': 'CLIPTokenizer',
      'do_lower_case': True,
      'model_max_length': max_length,
      **_SPECIAL,
    },
  )


def train(
  captions: Iterable[str],
  folder: str | pathlib.Path,
  *,
  vocab_size: int,
  max_length: int,
) -> Tokenizer:
  """Learn a vocabulary from captions and write it as a CLIP folder.

  Ids are laid out as in CLIP: 256 bytes, 256 bytes that end a word, merged
  symbols by rank, start, end. Any string encodes, because every byte has
  both forms. The same captions, in any order, give the same files.

  Args:
    captions: texts to learn from.
    folder: where to write; made if missing.
    vocab_size: ids at most, 514 or more; fewer when no pair is left that
      occurs twice.
    max_length: tokens a text is padded or cut to, start and end included.

  Returns:
    The tokenizer, as `load(folder)` gives it.

  Raises:
    ValueError: vocab_size below 514, or max_length below 3.
  """
  folder, captions = pathlib.Path(folder), list(captions)
  alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
  tokens = dict.fromkeys(
    [*alphabet, *(byte + vocabulary.SUFFIX for byte in alphabet)]
  )
  if vocab_size < len(tokens) + 2:
    raise ValueError(
      f'vocab_size {vocab_size} is below {len(tokens) + 2}: 256 bytes, each '
      'inside and at the end of a word, and two special tokens'
    )
  merges = []
  for left, right in _learn_merges(_count_words(captions)):
    if len(tokens) + 2 >= vocab_size:
      break
    merges.append((left, right))
    tokens[left + right] = None
  vocab = {t: i for i, t in enumerate([*tokens, START, END])}
  tokenizer = _build(vocab, merges, _SPECIAL, max_length)
  _write(folder, vocab, merges, max_length)
  known = known_words(captions)
  (folder / _KNOWN).write_text('\n'.join(known) + '\n', encoding='utf-8')
  return dataclasses.replace(tokenizer, known=frozenset(known))
