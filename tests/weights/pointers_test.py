"""Pointers of Git LFS are named."""

import pytest

from maskjax.weights import pointers

POINTER = (
  'version https://git-lfs.github.com/spec/v1\n'
  f'oid sha256:{"0" * 64}\nsize 3438167540\n'
)


def test_a_pointer_is_refused_with_the_remedy(tmp_path):
  path = tmp_path / 'model.safetensors'
  path.write_text(POINTER)
  with pytest.raises(ValueError, match=r'model\.safetensors is .* lfs pull'):
    pointers.refuse(path)


def test_other_files_are_none(tmp_path):
  path = tmp_path / 'model.safetensors'
  pointers.refuse(path)  # missing: its reader says so
  path.write_bytes(b'version 2')
  pointers.refuse(path)
