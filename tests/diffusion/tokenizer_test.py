"""Tests of the CLIP tokenizer; transformers' CLIPTokenizer is the oracle."""

import json
import random
import shutil

import numpy as np
import pytest

from maskjax.diffusion import tokenizer

CAPTIONS = [
  'a Bengal tiger, front view, with uniform white light',
  'a lion looking from above, lit by red light from the left',
  'an elephant, side view', 'a cartoon character', "a gorilla's face, old",
  'a red dragon, angry, made of stone', 'ein Löwe — très joli', '虎の面 2024',
] * 3  # fmt: skip
HARD = [
  '', '   ', 'A  TIGER\t\n tiger', "it's we'll they'd I'm you've he're",
  '3.14159 x 2^10 = ½', '...!?!?;;--__()[]', 'naïve café', 'nai\u0308ve',
  '虎とライオン', '🐯🦁 masks', 'ﬁne ǅ İstanbul ΣΑΣ', '\x00\x7f\u200b zero',
  'a<|endoftext|>b', '<|STARTOFTEXT|> <|startoftext|>', 'अ आ ١٢٣', '\u3000wide',
]  # fmt: skip


def _random_texts(count):
  rng = random.Random(0)
  pools = [
    'abcXYZ ',
    "0123456789.,'!-",
    'äßéñøЖя漢字🦊\u0301\u200d',
    ' \t\n<|>',
  ]
  for _ in range(count):
    pool = ''.join(rng.sample(pools, rng.randint(1, 4)))
    yield ''.join(rng.choices(pool, k=rng.randint(0, 40)))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('tokenizer')
  tokenizer.train(CAPTIONS, path, vocab_size=700, max_length=24)
  return path


def _set(folder, target, **fields):
  """Copy a tokenizer folder with other fields in tokenizer_config.json."""
  for file in folder.iterdir():
    (target / file.name).write_bytes(file.read_bytes())
  for name in ('tokenizer_config.json', 'special_tokens_map.json'):
    config = json.loads((target / name).read_text())
    (target / name).write_text(json.dumps({**config, **fields}))
  return target


def _assert_parity(folder):
  transformers = pytest.importorskip('transformers')
  theirs = transformers.CLIPTokenizer.from_pretrained(str(folder))
  ours = tokenizer.load(folder)
  texts = [*CAPTIONS, *HARD, *_random_texts(300)]
  expected = theirs(
    texts, padding='max_length', truncation=True, return_tensors='np'
  )['input_ids']
  ids, cut = tokenizer.tokenize(ours, texts)
  truncated = np.array([bool(words) for words in cut])
  np.testing.assert_array_equal(ids, expected)
  whole = [len(row) for row in theirs(texts)['input_ids']]
  np.testing.assert_array_equal(truncated, np.array(whole) > 24)
  assert 0 < truncated.sum() < len(texts)


def test_equals_transformers(folder):
  _assert_parity(folder)


def test_equals_transformers_with_sd2_padding(folder, tmp_path):
  # Stable Diffusion 2 pads with '!', which then also means padding in text.
  _assert_parity(_set(folder, tmp_path, pad_token='!'))


def test_equals_transformers_from_its_own_files(folder, tmp_path):
  transformers = pytest.importorskip('transformers')
  theirs = transformers.CLIPTokenizer.from_pretrained(str(folder))
  theirs.save_pretrained(str(tmp_path))
  assert (tmp_path / 'tokenizer.json').is_file()
  _assert_parity(tmp_path)


def test_reads_special_tokens_with_flags(folder, tmp_path):
  # The form of published Stable Diffusion checkpoints.
  flags = {'lstrip': False, 'rstrip': False, 'normalized': True}
  _assert_parity(
    _set(
      folder,
      tmp_path,
      bos_token={'content': tokenizer.START, 'single_word': False, **flags},
      eos_token={'content': tokenizer.END, 'single_word': False, **flags},
    )
  )


def test_layout_and_flags(folder):
  loaded = tokenizer.load(folder)
  ids = tokenizer.encode(loaded, ['a tiger', ''])
  assert ids.dtype == np.int32 and ids.shape == (2, 24)
  assert (ids[:, 0] == loaded.start_id).all()
  assert (ids[1, 1:] == loaded.end_id).all()
  assert loaded.end_id == loaded.vocab_size - 1 == ids.max()
  long = tokenizer.tokenize(loaded, ['tiger ' * 40, 'a tiger'])
  # 24 tokens, less start and end, hold 22 words.
  assert long.cut == ('tiger ' * 18, '')
  assert long.ids[0, -1] == loaded.end_id
  # An exact fit is not a truncation.
  fit = tokenizer.tokenize(loaded, ['1' * 22, '1' * 23])
  assert fit.cut == ('', '1')


def test_max_length_can_be_given(folder):
  loaded = tokenizer.load(folder, max_length=8)
  assert tokenizer.encode(loaded, ['a tiger']).shape == (1, 8)


def test_a_length_without_end_is_none(folder, tmp_path):
  _set(folder, tmp_path, model_max_length=10**30)
  assert tokenizer.load(tmp_path, most=12).max_length == 12
  assert tokenizer.load(tmp_path, max_length=9, most=12).max_length == 9
  assert tokenizer.load(folder, most=12).max_length != 12
  with pytest.raises(ValueError, match='no model_max_length'):
    tokenizer.load(tmp_path)


def test_trained_words_are_whole_and_any_string_encodes(folder):
  loaded = tokenizer.load(folder)
  ids = tokenizer.encode(loaded, ['tiger light from the left'])[0]
  assert (ids != loaded.end_id).sum() == 6  # start and five words
  texts = [t for t in _random_texts(200) if t.strip()]
  ids, cut = tokenizer.tokenize(loaded, [t[:5] for t in texts])
  unknown = (ids == loaded.end_id)[:, :-1] & (ids[:, 1:] != loaded.end_id)
  assert not unknown.any() and not all(cut)
  # Every byte has an id inside a word and at its end.
  vocab = json.loads((folder / 'vocab.json').read_text())
  assert sum(t.endswith('</w>') and len(t) == 5 for t in vocab) == 256
  assert sum(len(t) == 1 for t in vocab) == 256


def test_training_is_deterministic_and_blind_to_order(folder, tmp_path):
  trained = tokenizer.train(
    reversed(CAPTIONS), tmp_path, vocab_size=700, max_length=24
  )
  for name in ('vocab.json', 'merges.txt', 'tokenizer_config.json'):
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
  np.testing.assert_array_equal(
    tokenizer.encode(trained, CAPTIONS),
    tokenizer.encode(tokenizer.load(folder), CAPTIONS),
  )


def test_words_that_were_not_trained_on_are_named(folder, tmp_path):
  words = tokenizer.load(folder)
  text = 'An OLD Bengal giraffe, très_joli 2024 giraffe'
  assert tokenizer.unknown_words(words, text) == ['giraffe']
  assert tokenizer.unknown_words(words, '虎の面 löwe') == []
  shutil.copytree(folder, tmp_path / 'silent')
  (tmp_path / 'silent' / 'known_words.txt').unlink()
  silent = tokenizer.load(tmp_path / 'silent')
  assert tokenizer.unknown_words(silent, text) == []


def test_most_frequent_pair_is_merged_first(tmp_path):
  tokenizer.train(
    ['low low low lot lot'], tmp_path, vocab_size=517, max_length=8
  )
  lines = (tmp_path / 'merges.txt').read_text().splitlines()
  assert lines == ['#version: 0.2', 'l o', 'lo w</w>', 'lo t</w>']


def _extend(path, **entries):
  """Add entries to a JSON file."""
  path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_special_tokens_may_be_listed_as_added(folder, tmp_path):
  _set(folder, tmp_path)
  before = tokenizer.load(tmp_path)
  end = before.end_id
  _extend(
    tmp_path / 'tokenizer_config.json',
    added_tokens_decoder={str(end): {'content': tokenizer.END}},
  )
  after = tokenizer.load(tmp_path)
  texts = ['a tiger', f'a {tokenizer.END}']
  np.testing.assert_array_equal(
    tokenizer.encode(after, texts), tokenizer.encode(before, texts)
  )


@pytest.mark.parametrize(
  'mischief, message',
  [
    (lambda f: (f / 'merges.txt').unlink(), 'no merges.txt'),
    (lambda f: (f / 'vocab.json').write_text('{'), 'not valid JSON'),
    (lambda f: (f / 'merges.txt').write_text('a b c\n'), 'two symbols'),
    (
      lambda f: (f / 'tokenizer_config.json').write_text('{}'),
      'model_max_length',
    ),
    (
      lambda f: (
        (f / 'special_tokens_map.json').write_text('{"bos_token": "<s>"}')
        + (f / 'tokenizer_config.json').write_text('{"model_max_length": 9}')
      ),
      "bos_token '<s>'",
    ),
    (
      lambda f: (f / 'tokenizer.json').write_text('{"model": {}}'),
      'CLIP tokenizer',
    ),
    (
      lambda f: (f / 'added_tokens.json').write_text('{"<my-tiger>": 900}'),
      "added_tokens.json: the added token '<my-tiger>'",
    ),
    (
      lambda f: _extend(
        f / 'tokenizer_config.json',
        added_tokens_decoder={'900': {'content': '<my-tiger>'}},
      ),
      "tokenizer_config.json: the added token '<my-tiger>'",
    ),
    (
      lambda f: _extend(
        f / 'special_tokens_map.json',
        additional_special_tokens=['<my-tiger>'],
      ),
      "special_tokens_map.json: the added token '<my-tiger>'",
    ),
    (
      lambda f: _extend(
        f / 'tokenizer_config.json',
        additional_special_tokens=[{'content': '<my-tiger>'}],
      ),
      "tokenizer_config.json: the added token '<my-tiger>'",
    ),
    # In the vocabulary, too, a text would not find it.
    (
      lambda f: (
        (f / 'added_tokens.json').write_text('{"<my-tiger>": 900}')
        + (_extend(f / 'vocab.json', **{'<my-tiger>': 900}) or 0)
      ),
      "the added token '<my-tiger>'",
    ),
    (lambda f: _extend(f / 'vocab.json', x=-1), 'ids of a vocabulary'),
    (lambda f: _extend(f / 'vocab.json', x=2**40), 'ids of a vocabulary'),
    (lambda f: _extend(f / 'vocab.json', x='1'), 'ids of a vocabulary'),
    (lambda f: _extend(f / 'vocab.json', x=0), 'have one id'),
    (lambda f: (f / 'vocab.json').write_text('[' * 9999), 'too deeply'),
    (lambda f: (f / 'merges.txt').write_text('q! zz\n'), 'not of tokens'),
    (
      lambda f: _extend(f / 'tokenizer_config.json', bos_token={'a': 1}),
      'is no token',
    ),
    (
      lambda f: _extend(f / 'tokenizer_config.json', model_max_length=[77]),
      r'model_max_length is \[77\]',
    ),
  ],
)
def test_broken_folders_are_named(folder, tmp_path, mischief, message):
  _set(folder, tmp_path)
  mischief(tmp_path)
  with pytest.raises(ValueError, match=message):
    tokenizer.load(tmp_path)


def test_bad_arguments(folder, tmp_path):
  with pytest.raises(ValueError, match='no such'):
    tokenizer.load(tmp_path / 'missing')
  with pytest.raises(ValueError, match='list of strings'):
    tokenizer.encode(tokenizer.load(folder), 'a tiger')
  with pytest.raises(ValueError, match='below 514'):
    tokenizer.train(CAPTIONS, tmp_path, vocab_size=100, max_length=8)
  with pytest.raises(ValueError, match='max_length 2'):
    tokenizer.train(CAPTIONS, tmp_path, vocab_size=600, max_length=2)
