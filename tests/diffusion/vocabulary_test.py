"""Vocabularies are read whole, or refused by name."""

import json

import pytest

from maskjax.diffusion import vocabulary

VOCAB = {'a': 0, 'b</w>': 1, 'ab</w>': 2}


def write(folder, vocab, merges='#version: 0.2\na b</w>\n'):
  (folder / 'vocab.json').write_text(json.dumps(vocab))
  (folder / 'merges.txt').write_text(merges)
  return folder


def test_both_layouts_are_read_alike(tmp_path):
  found = vocabulary.read(write(tmp_path, VOCAB))
  assert found == (VOCAB, [('a', 'b</w>')])
  for merges in (['a b</w>'], [['a', 'b</w>']]):
    model = {'end_of_word_suffix': '</w>', 'vocab': VOCAB, 'merges': merges}
    (tmp_path / 'tokenizer.json').write_text(json.dumps({'model': model}))
    assert vocabulary.read(tmp_path) == found


@pytest.mark.parametrize(
  'vocab, words',
  [
    ({'a': 0.5, 'b</w>': 1, 'ab</w>': 2}, 'ids of a vocabulary'),
    ({'a': True, 'b</w>': 1, 'ab</w>': 2}, 'ids of a vocabulary'),
    ({'a': None}, 'ids of a vocabulary'),
    ({'a': 1, 'b</w>': 1, 'ab</w>': 2}, 'have one id'),
    ({'a': 0, 'b</w>': 1}, 'not of tokens of the vocabulary'),
  ],
)
def test_strange_vocabularies_are_refused(tmp_path, vocab, words):
  with pytest.raises(ValueError, match=words) as error:
    vocabulary.read(write(tmp_path, vocab))
  assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
  'model',
  [
    {},
    {'vocab': [], 'merges': []},
    {'vocab': VOCAB},
    {'vocab': VOCAB, 'merges': [7]},
    {'vocab': VOCAB, 'merges': [['a']]},
    {'vocab': VOCAB, 'merges': [['a', 7]]},
    {'vocab': VOCAB, 'merges': {'a': 'b</w>'}},
  ],
)
def test_strange_models_are_refused(tmp_path, model):
  content = {'model': model | {'end_of_word_suffix': '</w>'}}
  (tmp_path / 'tokenizer.json').write_text(json.dumps(content))
  with pytest.raises(ValueError, match=r'tokenizer\.json'):
    vocabulary.read(tmp_path)


def test_tokens_that_were_learned_later_are_named(tmp_path):
  special = {'bos_token': '<s>', 'eos_token': {'content': '</s>'}}
  path = tmp_path / 'added_tokens.json'
  path.write_text('{"<s>": 0, "</s>": 1}')
  vocabulary.check_added(tmp_path, special)
  path.write_text('{"<s>": 0, "<my-tiger>": 1188}')
  with pytest.raises(ValueError, match="the added token '<my-tiger>' is none"):
    vocabulary.check_added(tmp_path, special)
