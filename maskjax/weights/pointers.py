"""Pointers of Git LFS, which lie where a large file should.

A repository that was cloned without git-lfs has a few lines of text in place
of every large file; to copy them again gives the same lines.
"""

import os

_FIRST_LINE = b'version https://git-lfs.github.com/spec/'


def refuse(path: str | os.PathLike) -> None:
  """Refuse a file that is a pointer of Git LFS.

  Args:
    path: of any file; one that is missing is left to its reader.

  Raises:
    ValueError: it is a pointer; one line with the remedy.
  """
  try:
    with open(path, 'rb') as file:
      start = file.read(len(_FIRST_LINE))
  except OSError:
    return
  if start == _FIRST_LINE:
    raise ValueError(
      f'{path} is a pointer of Git LFS, not the file itself; run '
      '"git lfs install" and "git lfs pull" where it was cloned, or download '
      'the file'
    )
