"""Take the font of all scripts out of its npm package.

python third_party/unifontex/build.py                  # npm pack
python third_party/unifontex/build.py --tarball=x.tgz
"""

import argparse
import hashlib
import pathlib
import subprocess
import tarfile
import tempfile

PACKAGE = '@fontsource/unifontex@5.2.6'
MEMBER = 'package/files/unifontex-latin-400-normal.woff'
SHA256 = 'e37e18240d32d13dcc222beea13dd90701f7d427cc8e31e28444ebd58d95fca7'
FOLDER = pathlib.Path(__file__).parent


def extract(tarball):
  """Return the font's file, checked."""
  with tarfile.open(tarball) as archive:
    file = archive.extractfile(MEMBER)
    if file is None:
      raise ValueError(f'{tarball} has no {MEMBER}')
    data = file.read()
  found = hashlib.sha256(data).hexdigest()
  if found != SHA256:
    raise ValueError(f'{MEMBER} has the hash {found}, expected {SHA256}')
  return data


def main():
  """Fetch the package unless it is given, and write the font."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--tarball', help='the package; fetched without')
  given = parser.parse_args().tarball
  with tempfile.TemporaryDirectory() as folder:
    if given is None:
      command = ['npm', 'pack', '--silent', PACKAGE]
      subprocess.run(command, cwd=folder, check=True)
      (given,) = pathlib.Path(folder).glob('*.tgz')
    (FOLDER / 'unifontex.woff').write_bytes(extract(given))


if __name__ == '__main__':
  main()
