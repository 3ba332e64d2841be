"""Every program runs: the commands of the pages, carried out at tiny size.

The words of a command are read from its page; what makes it small is added to
them, and a model or a photo that a reader has to bring is made here.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw
import pytest

from maskjax.data.styles import art, emoji
from maskjax.face import photo
from maskjax.geometry import mesh_io, template
from tests.diffusion import tiny_model
from tests.docs import changes, commands
from tests.gan import conftest as gan_fixtures

reference_meta = gan_fixtures.reference_meta
reference_state = gan_fixtures.reference_state

# What every field of these configs is at tiny size.
_MASK = shlex.split(
  '--config.edge_length=1.2 --config.first_image.steps=2'
  ' --config.views.count=2 --config.distill.horizon=3 --config.log_every=1'
  ' --config.checkpoint_every=1 --config.preview_size=48'
  ' --config.turntable_frames=4 --config.baked_size=64 --config.sdf.cell=2'
)
_PRIOR = shlex.split(
  '--config.heads.shards=1 --config.heads.views=1 --config.heads.size=16'
  ' --config.sample_size=16 --config.channels=(16,) --config.batch_size=2'
  ' --config.views=2'
  ' --config.norm_groups=8 --config.attention_heads=2'
  ' --config.vocabulary=530 --config.tokens=16 --config.text_features=16'
  ' --config.text_layers=1 --config.condition_embedding=(8,16)'
  ' --config.steps=2 --config.warmup_steps=0 --config.decay_steps=0'
  ' --config.checkpoint_every=1 --config.log_every=1'
)
_TINY = {
  'build_prior_data': _PRIOR,
  'bundle_source': ['--out=packed'],
  'check_parity': ['--tolerance=1e-3'],
  'evaluate_faces': ['--count=2'],
  'evaluate_masks': [*_MASK, '--kinds=tiger', '--ablation_steps=2'],
  'evaluate_prior': ['--samples=2', '--steps=2', '--batch=2'],
  'evaluate_source': shlex.split('--pictures=8 --scenes=2 --identities=2'),
  'fit_mesh': ['--size=32', '--steps=2'],
  'generate_image': ['--count=1', '--steps=2'],
  'generate_mask': _MASK,
  'import_checkpoint': [],
  'make_faces': shlex.split(
    '--config.shards=1 --config.people=2 --config.moments=1 --config.views=4'
    ' --config.size=16 --config.samples=1 --workers=1'
  ),
  'make_styles': shlex.split(
    '--config.shards=1 --config.count=2 --config.size=32 --workers=1'
  ),
  'render_avatar': shlex.split('--seeds=0-1 --frames=2 --mesh_resolution=16'),
  'show_faces': ['--count=1', '--size=48', '--style=comic'],
  'train_matcher': [],
  'train_prior': _PRIOR,
  'train_source': shlex.split('--config.walk_every=0 --config.measure_every=0'),
  'wear_mask': [],
}
# What a page calls by these names, made in the folder of the test.
_THERE = {
  '/models/sd15-inpainting': 'models/inpainting',
  '/models/sd15': 'models/latent',
  '/models/sd21': 'models/latent',
  '/models/controlnet-normal': 'models/latent/controlnet',
  '/models/normal-sd': 'models/latent',
  '/models/controlnet-seg': 'models/latent/controlnet',
  'maskjax/assets/prior': 'models/prior',
  '--source=ffhq512-128.pkl': '--source=state.npz --options=rendering.json',
}
# Of these the pages name modes; the tiny ones have names of their own.
_MODES = {
  'configs/source.py': 'tiny',
  'configs/matcher.py': 'tiny',
}
# Pages whose commands are of the change that they show.
_CHANGES = ('docs/howto/residual.md', 'docs/howto/style.md')


def _small(command):
  """Return a command at tiny size, or None where it is a benchmark."""
  room, _, name = command.module.partition('.')
  if room == 'benchmarks':  # They take their time.
    return None
  words = []
  for word in command.words:
    for given, there in _THERE.items():
      if given in word:
        word = word.replace(given, there)
        break
    file, _, mode = word.removeprefix('--config=').partition(':')
    if file in _MODES:
      tiny = '_'.join(filter(None, (_MODES[file], mode)))
      word = f'--config={file}:{tiny}'
    words += word.split(' ') if '--source' in word else [word]
  extra = list(_TINY[name])
  given = ' '.join(words)
  if '--style=' in given:
    extra.remove('--style=comic')
  if 'generate_mask' in name or 'evaluate_masks' in name:
    if 'diffusion.path' not in given:
      extra.append('--config.diffusion.path=models/prior')
    if '--config.back' in given:
      extra.append('--config.back=2')
    extra.append('--config.steps=' + ('4' if '.steps=400' in given else '3'))
  if name == 'generate_image' and '--path' not in given:
    extra.append('--path=models/prior')
  if name == 'render_avatar' and '--checkpoint' not in given:
    extra += ['--checkpoint=models/ffhq'] if 'gan.md' in command.where else []
  if name == 'train_source':
    channels = '(8,8,8)' if 'student' in given or 'style' in given else '(8,8)'
    extra += [f'--config.channels={channels}', '--config.steps=2']
  return command._replace(words=(*words, *extra))


def _head():
  """Return a drawn head, which stands for all emoji."""
  picture = Image.new('RGBA', (40, 40))
  ImageDraw.Draw(picture).ellipse((6, 4, 32, 34), fill=(200, 100, 50, 255))
  return picture


@pytest.fixture
def unpacked(place, monkeypatch):
  """Lay emoji where npm would unpack them; the font's are drawn, too."""
  folder = place / 'out' / 'emoji' / 'package' / 'assets'
  folder.mkdir(parents=True, exist_ok=True)
  for name in {*art.selection('3D emoji'), *emoji.names()}:
    _head().save(folder / f'{name}.webp', lossless=True)
  monkeypatch.setattr(art, 'find_font', lambda path=None: place / 'font.ttf')
  monkeypatch.setattr(
    art, '_draw_noto', lambda path, names: (_head() for _ in names)
  )


@pytest.fixture(scope='module')
def place(maps_folder, reference_state, reference_meta, tmp_path_factory):
  """Return a folder in which the commands find what they name."""
  folder = tmp_path_factory.mktemp('place')
  (folder / 'configs').symlink_to(commands.ROOT / 'configs')
  assets = folder / 'maskjax' / 'assets'
  assets.mkdir(parents=True)
  for name in ('source', 'people2d'):
    (assets / name).symlink_to(commands.ROOT / 'maskjax' / 'assets' / name)
  shutil.copytree(maps_folder, folder / 'models' / 'prior')
  tiny_model.create_latent(folder / 'models' / 'latent', controlnets=1)
  tiny_model.create_latent(folder / 'models' / 'inpainting', inpainting=True)
  astronaut = np.uint8(255 * np.asarray(photo.astronaut()))
  pictures = {'me.jpg': astronaut, 'face.png': astronaut}
  for person, picture in (('a', astronaut), ('b', astronaut[:, ::-1])):
    for number in range(2):
      name = f'photos/{person}/{number}.png'
      pictures[name] = np.uint8(picture * (1 - 0.2 * number))
  pictures['mask.png'] = np.zeros((32, 32), np.uint8)
  pictures['mask.png'][8:24, 8:24] = 255
  for name, picture in pictures.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(folder / name, picture)
  head = template.mask_template('plain', edge_length=1.2).mesh
  for name in ('head.obj', 'head.glb'):
    mesh_io.save_mesh(folder / name, head)
  np.savez(folder / 'state.npz', **reference_state)
  (folder / 'rendering.json').write_text(
    json.dumps(reference_meta['rendering_kwargs'])
  )
  return folder


def _carry_out(page, place, monkeypatch):
  """Run the commands of a page, one after another, in a folder."""
  monkeypatch.chdir(place)
  done = 0
  for command in commands.read(commands.ROOT / page):
    own = _small(command)
    if own is None:
      continue
    with (
      commands.imported(own.module) as module,
      monkeypatch.context() as patch,
    ):
      try:
        module.main(commands.parse(own, patch))
      except Exception as error:
        pytest.fail(f'{own}: {type(error).__name__}: {error}')
    done += 1
  assert done


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')
@pytest.mark.usefixtures('unpacked')
@pytest.mark.parametrize(
  'page',
  [
    'README.md',
    'docs/faces.md',
    'docs/fitting.md',
    'docs/gan.md',
    'docs/masks.md',
    'docs/people.md',
    'docs/prior.md',
    'docs/source.md',
    'docs/stable_diffusion.md',
    'configs/styles.py',
    'experiments/show_faces.py',
  ],
)
def test_the_commands_of_a_page(page, place, monkeypatch):
  _carry_out(page, place, monkeypatch)


def _changed(page, folder):
  """Copy the tree, and change it as a page shows."""
  left = shutil.ignore_patterns('assets', '__pycache__')
  for name in ('configs', 'experiments', 'maskjax'):
    shutil.copytree(commands.ROOT / name, folder / name, ignore=left)
  assets = folder / 'maskjax' / 'assets'
  assets.symlink_to(commands.ROOT / 'maskjax' / 'assets')
  (folder / 'third_party').symlink_to(commands.ROOT / 'third_party')
  changes.apply(changes.read(commands.ROOT / page), folder)


@pytest.mark.slow
@pytest.mark.parametrize('page', _CHANGES)
def test_the_change_of_a_page_and_its_commands(page, place, tmp_path):
  _changed(page, tmp_path)
  for command in commands.read(commands.ROOT / page):
    own = _small(command)
    result = subprocess.run(
      [sys.executable, '-m', own.module, *own.words],
      cwd=place,
      env=os.environ | {'PYTHONPATH': str(tmp_path)},
      capture_output=True,
      text=True,
      check=False,
    )
    assert result.returncode == 0, f'{own}: {result.stderr}'
