"""Cases of `units` about rays, volumes and cameras."""

from collections.abc import Callable, Mapping
import re
from typing import Any

import jax.numpy as jnp
import numpy as np

from maskjax.gan import (
  eg3d,
  poses,
  state_configs,
)
from maskjax.geometry import camera
from maskjax.kernels import plane_reads
from maskjax.render.volume import rays, triplane, volume
from maskjax.weights import eg3d_keys
from tests.gan.parity import rows

Golden = rows.Golden
Options = Mapping[str, Any]
Results = dict[str, Any]

INPUTS = (
  r'ray_sampler/(cam2world|intrinsics)|get_ray_limits_box/.*/(origins|dirs)|'
  r'math_linspace/(start|stop)|planes/.*|sample_from_3dgrid/(grid|coords)|'
  r'decoder/.*/features|ray_marcher/.*/(colors|densities|depths)|'
  r'sample_pdf/.*/(bins|weights|u)|sample_importance/(z_vals|weights|u)|'
  r'sample_stratified/.*/(jitter|start|end)|unify_samples/\w+[12]|'
  r'renderer/(origins|dirs|planes)|renderer/.*/rng\d+_\w+|'
  r'lookat/\d+/hv|random/.*/draws|create_cam2world_matrix/(forward|origin)|'
  r'fov_to_intrinsics/fov'
)


def rounding(result: str) -> float:
  """Return the rounding that the reference's own formula has.

  Weights are 1 - exp(-x) in float32, multiples of 2^-24 however small: where
  a scene is nearly empty, one step is more than 1e-4 of the largest weight.

  Args:
    result: name of an array.

  Returns:
    Least tolerance, 0 for other arrays.
  """
  weighs = re.fullmatch(r'(renderer|ray_marcher)/.*weights(_sum)?', result)
  return 2.0**-23 if weighs else 0.0


def _axes(case: str) -> triplane.PlaneAxes:
  """Return the name here of a case's plane axes."""
  return 'fixed' if case.split('/')[1].startswith('fixed') else 'eg3d'


def _ray_sampler(golden: Golden, case: str, options: Options) -> Results:
  own = camera.Camera(
    jnp.asarray(golden['ray_sampler/cam2world']),
    jnp.asarray(golden['ray_sampler/intrinsics']),
  )
  origins, directions = rays.camera_rays(own, options['resolution'])
  return {'origins': origins, 'dirs': directions}


def _box(golden: Golden, case: str, options: Options) -> Results:
  own = rays.Rays(
    jnp.asarray(golden[f'{case}/origins']), jnp.asarray(golden[f'{case}/dirs'])
  )
  near, far = rays.box_limits(own, options['box_side_length'])
  return {'near': near[..., None], 'far': far[..., None]}


def _linspace(golden: Golden, case: str, options: Options) -> Results:
  start, stop = golden[f'{case}/start'], golden[f'{case}/stop']
  still = jnp.zeros((*start.shape[:2], options['num']))
  y = rays.stratified_depths(
    jnp.asarray(start[..., 0]), jnp.asarray(stop[..., 0]), still
  )
  return {'y': jnp.moveaxis(y, -1, 0)[..., None]}


def _project(golden: Golden, case: str, options: Options) -> Results:
  del options
  points = jnp.asarray(golden['planes/coords'])
  y = triplane.project(points, _axes(case))
  return {'y': y.reshape(-1, *y.shape[2:])}


def _sample_planes(golden: Golden, case: str, options: Options) -> Results:
  planes = jnp.moveaxis(jnp.asarray(golden['planes/features']), 2, -1)
  positions = triplane.plane_positions(
    jnp.asarray(golden['planes/coords']),
    planes.shape[2],
    box=options['box_warp'],
    plane_axes=_axes(case),
  )
  nearest = options.get('mode') == 'nearest'
  y = plane_reads.each(planes, positions, nearest=nearest)
  return {'y': y}


def _sample_grid(golden: Golden, case: str, options: Options) -> Results:
  del options
  grid = jnp.moveaxis(jnp.asarray(golden[f'{case}/grid']), 1, -1)
  points = jnp.asarray(golden[f'{case}/coords'])
  grid = jnp.broadcast_to(grid, (points.shape[0], *grid.shape[1:]))
  return {'y': triplane.sample_grid(grid, points)}


def _decode(state: Mapping[str, Any], rate: float) -> Callable:
  """Return a decoder with the weights of a state."""
  module = eg3d.Decoder(
    state['net.0.weight'].shape[0], state['net.2.weight'].shape[0] - 1, rate
  )
  return lambda x: module.apply(eg3d_keys.from_state(state), x)


def _decoder(golden: Golden, case: str, options: Options) -> Results:
  decode = _decode(golden.under(f'{case}/state/'), options['decoder_lr_mul'])
  sigma, rgb = decode(jnp.asarray(golden[f'{case}/features']).mean(1))
  return {'sigma': sigma[..., None], 'rgb': rgb}


def _marcher(golden: Golden, case: str, options: Options) -> Results:
  get = lambda name: jnp.asarray(golden[f'{case}/{name}'])
  samples = volume.Samples(
    get('depths')[..., 0], get('densities')[..., 0], get('colors')
  )
  rgb, depth, weights = volume.integrate(
    samples, white_background=options['white_back']
  )
  return {'rgb': rgb, 'depth': depth, 'weights': weights[..., None]}


def _pdf(golden: Golden, case: str, options: Options) -> Results:
  bins, weights = golden[f'{case}/bins'], golden[f'{case}/weights']
  u = golden.arrays.get(f'{case}/u')
  if u is None:
    count = options['N_importance']
    u = np.tile(np.linspace(0, 1, count, dtype=np.float32), (len(bins), 1))
  own = (jnp.asarray(x)[None] for x in (bins, weights, u))
  return {'y': rays.sample_pdf(*own)[0]}


def _importance(golden: Golden, case: str, options: Options) -> Results:
  del options
  depths = jnp.asarray(golden[f'{case}/z_vals'])[..., 0]
  weights = jnp.asarray(golden[f'{case}/weights'])[..., 0]
  u = jnp.asarray(golden[f'{case}/u']).reshape(*depths.shape[:2], -1)
  return {'y': rays.importance_depths(depths, weights, u)[..., None]}


def _stratified(golden: Golden, case: str, options: Options) -> Results:
  start, end = (
    jnp.asarray(golden[f'{case}/{name}'])[..., 0]
    if f'{case}/{name}' in golden
    else options[f'ray_{name}']
    for name in ('start', 'end')
  )
  y = rays.stratified_depths(
    start,
    end,
    jnp.asarray(golden[f'{case}/jitter'])[..., 0],
    disparity=case.endswith('disparity'),
  )
  return {'y': y[..., None]}


def _unify(golden: Golden, case: str, options: Options) -> Results:
  del options
  parts = [
    volume.Samples(
      jnp.asarray(golden[f'{case}/depths{i}'])[..., 0],
      jnp.asarray(golden[f'{case}/densities{i}'])[..., 0],
      jnp.asarray(golden[f'{case}/colors{i}']),
    )
    for i in (1, 2)
  ]
  merged = volume.merge(*parts)
  return {
    'depths': merged.depths[..., None],
    'densities': merged.densities[..., None],
    'colors': merged.features,
  }


def _renderer(golden: Golden, case: str, options: Options) -> Results:
  own = rays.Rays(
    jnp.asarray(golden['renderer/origins']),
    jnp.asarray(golden['renderer/dirs']),
  )
  config = state_configs.volume_config(options)
  planes = jnp.moveaxis(jnp.asarray(golden['renderer/planes']), 2, -1)
  decode = _decode(golden.under('renderer/decoder_state/'), 1.0)

  def field(points):
    return decode(triplane.mean_features(planes, points, box=config.box))

  batch, count = own.origins.shape[:2]
  uniforms = rays.centred_uniforms(batch, count, config.coarse, config.fine)
  if f'{case}/rng0_rand_like' in golden:
    jitter = jnp.asarray(golden[f'{case}/rng0_rand_like'])[..., 0]
    uniforms = uniforms._replace(jitter=jitter)
  if f'{case}/rng1_rand' in golden:
    fine = jnp.asarray(golden[f'{case}/rng1_rand'])
    uniforms = uniforms._replace(fine=fine.reshape(batch, count, -1))
  result = volume.render(field, own, uniforms, config)
  return {
    'rgb': result.features,
    'depth': result.depth,
    'weights_sum': result.coverage,
  }


def _look_at(golden: Golden, case: str, options: Options) -> Results:
  angles = jnp.asarray(golden[f'{case}/hv'])
  pose = poses.look_at(
    angles[:, 0],
    angles[:, 1],
    pivot=tuple(options['pivot']),
    radius=options['radius'],
  )
  return {'cam2world': pose}


def _origin_pose(golden: Golden, case: str, options: Options) -> Results:
  del case
  angles = jnp.asarray(golden['lookat/0/hv'])
  pose = poses.look_at(angles[:, 0], angles[:, 1], radius=options['radius'])
  return {'cam2world': pose}


def _random_pose(golden: Golden, case: str, options: Options) -> Results:
  draws = jnp.asarray(golden[f'{case}/draws'])[..., 0]
  if 'Uniform' in case:
    draws = 2 * draws - 1
  angles = poses.spread(
    draws,
    horizontal_spread=options['h_std'],
    vertical_spread=options['v_std'],
  )
  # The sampler with a pivot was run with that of the FFHQ models.
  usual = (0.0, 0.0, 0.2) if 'LookAt' in case else (0.0, 0.0, 0.0)
  pivot = tuple(options.get('pivot', usual))
  pose = poses.look_at(*angles, pivot=pivot, radius=options['radius'])
  return {'cam2world': pose}


def _aim(golden: Golden, case: str, options: Options) -> Results:
  del options
  origin, forward = golden[f'{case}/origin'], golden[f'{case}/forward']
  return {'y': poses.aim(jnp.asarray(origin), jnp.asarray(forward))}


def _fov(golden: Golden, case: str, options: Options) -> Results:
  del options
  return {'y': poses.intrinsics(jnp.asarray(golden[f'{case}/fov']))}


CASES: dict[str, Callable[[Golden, str, Options], Results]] = {
  'ray_sampler': _ray_sampler,
  'get_ray_limits_box': _box,
  'math_linspace': _linspace,
  'project_onto_planes': _project,
  'sample_from_planes': _sample_planes,
  'sample_from_3dgrid': _sample_grid,
  'decoder': _decoder,
  'ray_marcher': _marcher,
  'sample_pdf': _pdf,
  'sample_importance': _importance,
  'sample_stratified': _stratified,
  'unify_samples': _unify,
  'renderer': _renderer,
  'lookat': _look_at,
  'origin_pose': _origin_pose,
  'random': _random_pose,
  'create_cam2world_matrix': _aim,
  'fov_to_intrinsics': _fov,
}
