"""The machine makes what pickle makes, and nothing that has no room."""

import collections
import io
import pickle
import time

import pytest

from maskjax.weights import pickles

VALUE = {
  'numbers': [0, 1, 255, 65536, -1, 2**40, -(2**70), 1.5, True, False, None],
  'words': ['', 'a', 'ä' * 300, b'', b'b' * 300],
  'nested': ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, (4,)), {'a': {1: [[]]}}),
  'many': list(range(2000)),
  ('a', 1): {n: n for n in range(1500)},
}
VALUE['shared'] = [VALUE['numbers'], VALUE['numbers']]


def _find(module, name):
  return {
    ('builtins', 'set'): set,
    ('__builtin__', 'set'): set,
    ('_codecs', 'encode'): lambda text, _: text.encode('latin1'),
    ('__builtin__', 'bytes'): bytes,
    ('collections', 'OrderedDict'): collections.OrderedDict,
  }[module, name]


def load(data):
  budget = pickles.Budget(len(data))
  return pickles.load(io.BytesIO(data), _find, lambda pid: ('id', pid), budget)


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_values_of_every_protocol(protocol):
  data = pickle.dumps(VALUE, protocol)
  found = load(data)
  assert found == VALUE
  assert found['shared'][0] is found['shared'][1]
  sets = {'s': {1, 'a'}, 'o': collections.OrderedDict(a=1)}
  assert load(pickle.dumps(sets, protocol)) == sets


def test_the_file_is_left_behind_the_pickle():
  file = io.BytesIO(pickle.dumps(1) + pickle.dumps('two'))
  budget = pickles.Budget(100)
  assert pickles.load(file, _find, _find, budget) == 1
  assert pickles.load(file, _find, _find, budget) == 'two'


def test_persistent_ids():
  assert load(b'Pab\n.') == ('id', 'ab')
  assert load(b'\x80\x02X\x02\x00\x00\x00abQ.') == ('id', 'ab')


# Each is a stream of few bytes that costs Python's unpickler its life, the
# memory or minutes.
DEEP = b')' + b'\x85' * 100_000
HOSTILE = {
  'a key of nested tuples': b'}' + DEEP + b'Ns.',
  'an item of nested tuples': b'\x8f(' + DEEP + b'\x90.',
  'a frozen set of nested tuples': b'(' + DEEP + b'\x91.',
  'keys that share a hash': b'}'
  + b''.join(
    b'\x8a\x20' + (n * (2**61 - 1)).to_bytes(32, 'little') + b'N' + b's'
    for n in range(2**8, 2**8 + 5)
  )
  + b'.',
  'a set of text, again and again': b'\x80\x02(U\x01a1.',
  'a memo that is not there': b'j\xff\xff\xff\x7f.',
  'bytes that are not there': b'\x8e'
  + (6 * 2**30).to_bytes(8, 'little')
  + b'.',
  'text that is not there': b'X\xff\xff\xff\x7f.',
  'an empty stack': b'.',
  'a value below a mark': b'N(0.',
  'a tuple of nothing': b'\x87.',
  'a mark too few': b't.',
  'entries of a list': b']NNs.',
  'an odd dictionary': b'(Nd.',
  'a list as key': b'}]Ns.',
  'a call of a number': b'K\x01)R.',
  'a call with a list': b'c__builtin__\nset\n]R.',
  'a name of numbers': b'K\x01K\x02\x93.',
  'an extension': b'\x82\x01.',
  'an outside buffer': b'\x97.',
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_streams_are_refused(name):
  began = time.process_time()
  with pytest.raises((ValueError, KeyError, pickle.UnpicklingError)):
    load(HOSTILE[name])
  assert time.process_time() - began < 10


def test_a_large_memo_index_takes_no_memory():
  assert load(b'Nr\xff\xff\xff\x7f.') is None


def test_copies_are_paid(monkeypatch):
  text = (
    b'X\x00\x00\x80\x00' + b'a' * 2**23 + b'q\x00X\x06\x00\x00\x00latin1q\x01'
  )
  call = b'c_codecs\nencode\n(h\x00h\x01tR'
  assert len(load(b'\x80\x02(' + text + call * 2 + b'l.')) == 4
  with pytest.raises(ValueError, match='more memory than a file of its size'):
    load(b'\x80\x02(' + text + call * 20 + b'l.')
  monkeypatch.setattr(pickles, '_MOST_OPCODES', 10_000)
  items = b'(' + b'K\x01' * 1000 + b'lq\x00'
  call = b'c__builtin__\nset\n(h\x00tR0'
  with pytest.raises(ValueError, match='more steps than any network file'):
    load(b'\x80\x02' + items + call * 20 + b'N.')


def test_opcodes_are_counted(monkeypatch):
  monkeypatch.setattr(pickles, '_MOST_OPCODES', 1000)
  assert load(b'N0' * 400 + b'N.') is None
  with pytest.raises(ValueError, match='more steps than any network file'):
    load(b'N0' * 500 + b'N.')
