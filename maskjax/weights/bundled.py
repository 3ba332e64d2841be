"""Where the files that come with the package are.

Our own weights lie in `maskjax/assets`; other people's data in `third_party`,
which stands beside `maskjax` in a source tree and inside it in a wheel.
"""

import pathlib

_PACKAGE = pathlib.Path(__file__).parents[1]


def _existing(root: pathlib.Path, parts: tuple[str, ...]) -> pathlib.Path:
  path = root.joinpath(*parts)
  if not path.exists():
    raise FileNotFoundError(
      f'{path} is missing: it comes with maskjax; install the package again'
    )
  return path


def bundled_path(*parts: str) -> pathlib.Path:
  """Find a file or folder among our bundled weights.

  Args:
    *parts: path inside `maskjax/assets`, e.g. 'prior', 'unet'.

  Returns:
    The path.

  Raises:
    FileNotFoundError: the installation is incomplete.
  """
  return _existing(_PACKAGE / 'assets', parts)


def third_party_path(*parts: str) -> pathlib.Path:
  """Find a file or folder among other people's data.

  Args:
    *parts: path inside `third_party`, e.g. 'mediapipe', 'canonical_face.npz'.

  Returns:
    The path.

  Raises:
    FileNotFoundError: the installation is incomplete.
  """
  inside = _PACKAGE / 'third_party'
  root = inside if inside.is_dir() else _PACKAGE.parent / 'third_party'
  return _existing(root, parts)
