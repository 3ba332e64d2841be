import dataclasses

import imageio_ffmpeg
import jax
import numpy as np
from PIL import Image
import pytest
import trimesh

from maskjax.avatar import render as avatar_render
from maskjax.gan import model as model_lib, scenes
from maskjax.geometry import mesh_io
from tests.gan import small

REQUEST = avatar_render.Request(
  seeds=(0, 3), what=avatar_render.WHAT, mesh_resolution=24, frames=3
)


@pytest.fixture(scope='module')
def model():
  model = model_lib.initialize(jax.random.key(0), small.EG3D)
  # Louder densities: a scene that differs from seed to seed.
  kernel = model.variables['params']['decoder']['net_2']['kernel']
  model.variables['params']['decoder']['net_2']['kernel'] = kernel * 5
  return model


@pytest.fixture(scope='module')
def folder(model, tmp_path_factory):
  folder = tmp_path_factory.mktemp('avatars')
  said = []
  made = avatar_render.render(model, REQUEST, folder, say=said.append)
  assert said == [str(path) for path in made]
  return folder


def test_every_file_is_made(folder):
  names = {path.name for path in folder.iterdir()}
  expected = {'walk.mp4'}
  for seed in ('seed0000', 'seed0003'):
    ends = ('.png', '_depth.png', '_depth.npy', '.glb', '.mp4')
    expected |= {seed + end for end in ends}
  assert names == expected


def test_pictures_are_those_of_the_model(folder, model):
  studio = scenes.open_studio(model, REQUEST.viewing)
  scene = studio.scene(studio.latents(3))
  picture = studio.picture(scene, studio.camera())
  shown = np.asarray(Image.open(folder / 'seed0003.png'))
  assert shown.shape == (16, 16, 3)
  expected = np.clip(np.asarray(picture.image[0]) * 127.5 + 127.5, 0, 255)
  assert np.abs(shown - expected).max() <= 1
  assert shown.std() > 5
  depth = np.load(folder / 'seed0003_depth.npy')
  np.testing.assert_allclose(depth, picture.depth[0, ..., 0], atol=1e-6)
  near = np.asarray(Image.open(folder / 'seed0003_depth.png')).astype(float)
  assert near.flat[depth.argmin()] == 255 and near.flat[depth.argmax()] == 0


def test_meshes_have_size_and_colours(folder):
  mesh = trimesh.load(folder / 'seed0000.glb', force='mesh')
  assert mesh.is_watertight
  # The scene is a cube of 37 cm without its border; GLB is in metres.
  assert 0.05 < np.ptp(mesh.vertices, 0).max() < 0.37
  colors = np.asarray(mesh_io.load_mesh(folder / 'seed0000.glb').colors)
  assert colors.min() >= 0 and colors.std() > 0.01


def test_videos_have_their_frames(folder):
  count = lambda name: imageio_ffmpeg.count_frames_and_secs(folder / name)[0]
  assert count('seed0000.mp4') == count('seed0003.mp4') == 3
  assert count('walk.mp4') == 6


def test_a_scene_without_surface_costs_the_others_nothing(model, tmp_path):
  request = dataclasses.replace(
    REQUEST, what=('image', 'mesh'), level=1e6, mesh_format='ply'
  )
  with pytest.raises(ValueError, match='2 files are made, but seed 0 has no s'):
    avatar_render.render(model, request, tmp_path, say=lambda line: None)
  assert {path.name for path in tmp_path.iterdir()} == {
    'seed0000.png',
    'seed0003.png',
  }


def test_bad_requests_are_one_line(model, tmp_path):
  with pytest.raises(ValueError, match=r'what is .* give one or more of image'):
    avatar_render.Request(what=('hologram',))
  with pytest.raises(ValueError, match="mesh_format is 'stl'; not one of glb"):
    avatar_render.Request(mesh_format='stl')
  with pytest.raises(ValueError, match=r'seeds is .* give one seed'):
    avatar_render.Request(seeds=())
  with pytest.raises(ValueError, match='rendering is 0; expected 1 to 2048'):
    avatar_render.Request(rendering=0)
  with pytest.raises(ValueError, match='cutoff is -1; expected 0 to 1000'):
    avatar_render.Request(cutoff=-1)
  with pytest.raises(ValueError, match='radius is nan; expected'):
    avatar_render.Request(radius=float('nan'))
  broken = avatar_render.Request()
  object.__setattr__(broken, 'radius', float('nan'))
  with pytest.raises(ValueError, match=r'camera 0 .*not finite'):
    avatar_render.render(model, broken, tmp_path)
