"""EG3D as an auto-decoder: one latent for each known scene, learnt with G.

Where identity, camera and depth of every picture are known, a generator need
not guess them against an opponent: it is fitted to the pictures. Each scene
has a normal distribution over z, with a mean of its own and deviations that
all scenes share; together they are held to N(0, I), from which new scenes are
drawn. Networks, names and checkpoints are EG3D's, so that an adversarial
training can go on from here.

The mapping begins as the identity, w = lrelu(z), which is as normal as a w of
StyleGAN can be (Zhu et al., "Improved StyleGAN Embedding", 2020), and does not
look at the camera before an adversarial training makes it.

Shapes: N scenes, B of a batch, V views of each, H side of the final image, S
of the rendering, Z D sizes of z and w, K copies of w. Follows Bojanowski et
al., "Optimizing the Latent Space of Generative Networks", ICML 2018 (latents
as weights), Zadeh et al., "Variational Auto-Decoder", 2019, and Chan et al.,
CVPR 2022.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
import optax

from maskjax.gan import (
  eg3d,
  losses as losses_lib,
  mapping as mapping_lib,
  model as model_lib,
  resize,
  scene_codes,
  stylegan2,
)
from maskjax.geometry import camera as camera_lib
from maskjax.render.volume import rays as rays_lib
from maskjax.training import (
  parallel,
  settings as settings_lib,
  state as state_lib,
)

PyTree = Any
Metrics = dict[str, Float[Array, '']]

# A pixel has a depth where the scene covers this much of it.
_COVERED = 0.95
# Of leaky ReLUs below zero.
_SLOPE = 0.2

_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderLosses:
  """Weights of the losses.

  Attributes:
    image: of the final image, see `pyramid_distance`.
    raw: of the rendered colours.
    levels: of the pyramids.
    alpha: of the square error of the coverage.
    depth: of `surface_distance`.
    prior: of the divergence of latents from N(0, I), for each number in z.
    density: of the difference of densities a small step apart.
    density_distance: deviation of that step, units.
    density_points: of each scene.
  """

  image: float = _number(0, default=1.0)
  raw: float = _number(0, default=1.0)
  levels: int = _number(1, 12, default=4)
  alpha: float = _number(0, default=2.0)
  depth: float = _number(0, default=4.0)
  prior: float = _number(0, default=0.05)
  density: float = _number(0, default=1e-3)
  density_distance: float = _number(0, default=0.01)
  density_points: int = _number(1, 10**6, default=256)


class Views(NamedTuple):
  """Pictures of some scenes.

  Attributes:
    scene: number of each scene.
    image: sRGB over the background of the generator, [-1, 1].
    alpha: coverage, [0, 1].
    depth: along the camera's axis, units; any number where alpha is 0.
    camera: EG3D's 25 numbers.
  """

  scene: Int[Array, 'b']
  image: Float[Array, 'b v h h 3']
  alpha: Float[Array, 'b v h h']
  depth: Float[Array, 'b v h h']
  camera: Float[Array, 'b v 25']


class Shown(NamedTuple):
  """What a generator makes of some views.

  Attributes:
    image: final images, about [-1, 1].
    raw: rendered colours, [-1, 1].
    alpha: coverage, [0, 1].
    depth: mean depth along the rays.
    distance: mean distance of what a ray sees from the depth asked for.
    planes: of the scenes.
  """

  image: Float[Array, 'n h h 3']
  raw: Float[Array, 'n s s 3']
  alpha: Float[Array, 'n s s']
  depth: Float[Array, 'n s s']
  distance: Float[Array, 'n s s']
  planes: Float[Array, 'b 3 r r c']


def with_plain_mapping(model: model_lib.Model) -> model_lib.Model:
  """Make the mapping w = sqrt(2) lrelu(z / |z|), whatever the camera.

  The hidden layer holds lrelu(z) and lrelu(-z), whose difference is 1.2 z.

  Args:
    model: EG3D or StyleGAN2 with two mapping layers, z as large as w, and a
      hidden layer twice as large.

  Raises:
    ValueError: other sizes.
  """
  config = model.module.config.backbone
  size = config.z_dim
  if (config.w_dim, config.layer_features, config.mapping_layers) != (
    size,
    2 * size,
    2,
  ):
    raise ValueError(
      f'a plain mapping needs w_dim = z_dim = {size}, layer_features = '
      f'{2 * size} and 2 mapping layers'
    )
  eye = jnp.eye(size)
  params = model.variables['params']
  mapping = params.get('backbone', params)['mapping']
  hidden = mapping['fc0']['kernel']
  # As the layers scale their weights, and lrelu its output.
  scale = lambda inputs: math.sqrt(inputs / 2) / mapping_lib.LR_MULTIPLIER
  first = (
    jnp.zeros_like(hidden)
    .at[:size]
    .set(jnp.concatenate([eye, -eye], 1) * scale(hidden.shape[0]))
  )
  second = jnp.concatenate([eye, -eye]) * (
    scale(2 * size) * math.sqrt(2) / (1 + _SLOPE)
  )
  plain = {'fc0': first, 'fc1': second}

  def replace(path, leaf):
    *_, part, layer, name = (None, None, *(entry.key for entry in path))
    if part != 'mapping' or layer not in plain:
      return leaf
    return plain[layer] if name == 'kernel' else jnp.zeros_like(leaf)

  params = jax.tree_util.tree_map_with_path(replace, params)
  return model._replace(variables={**model.variables, 'params': params})


def pyramid_distance(
  a: Float[Array, 'n h w c'], b: Float[Array, 'n h w c'], levels: int
) -> Float[Array, '']:
  """Return the L1 distance of Laplacian pyramids, each level by its mean.

  Means rather than sums weigh a level by its coarseness, so that places of
  features count as much as their edges.

  Args:
    a: images.
    b: images.
    levels: of the pyramid, the last being the coarse image itself.
  """
  difference, total = a - b, 0.0
  for level in range(levels):
    if level == levels - 1 or difference.shape[1] % 2:
      break
    coarse = resize.resize(difference, difference.shape[1] // 2)
    fine = difference - resize.resize(coarse, difference.shape[1])
    total += jnp.abs(fine).mean()
    difference = coarse
  return total + jnp.abs(difference).mean()


def rendered_truth(
  alpha: Float[Array, 'n h h'],
  depth: Float[Array, 'n h h'],
  camera: Float[Array, 'n 25'],
  side: int,
) -> tuple[Float[Array, 'n s s'], Float[Array, 'n s s']]:
  """Return coverage and depth as a rendering of another side has them.

  Args:
    alpha: coverage, [0, 1].
    depth: along the cameras' axes, any number where alpha is 0.
    camera: EG3D's 25 numbers.
    side: of the rendering.

  Returns:
    Coverage, and depths along the rays, which mean something where alpha is
    nearly 1.
  """
  alpha = alpha[..., None]
  small = resize.resize(alpha, side)
  depth = resize.resize(depth[..., None] * alpha, side)
  depth = depth / jnp.maximum(small, 1e-3)
  return small[..., 0], depth[..., 0] / cosines(camera, side)


def cosines(camera: Float[Array, 'n 25'], side: int) -> Float[Array, 'n s s']:
  """Return the cosine of each pixel's ray with the camera's axis."""
  cameras = camera_lib.from_vector25(camera)
  rays = rays_lib.camera_rays(cameras, side)
  forward = cameras.cam2world[:, None, :3, 2]
  return (rays.directions * forward).sum(-1).reshape(-1, side, side)


def _rays_of_scenes(camera: Float[Array, 'b v 25'], side: int) -> rays_lib.Rays:
  """Return the rays of all views of each scene, view after view."""
  count = camera.shape[0]
  poses = camera_lib.from_vector25(camera.reshape(-1, 25))
  rays = rays_lib.camera_rays(poses, side)
  return jax.tree.map(lambda x: x.reshape(count, -1, 3), rays)


def _uniforms(keys: Key[Array, 'b'], rays: int, coarse: int, fine: int):
  """Draw the random numbers of each scene's rays."""

  def draw(key):
    for_jitter, for_fine = jax.random.split(key)
    return rays_lib.Uniforms(
      jax.random.uniform(for_jitter, (rays, coarse)),
      jax.random.uniform(for_fine, (rays, fine)),
    )

  return jax.vmap(draw)(keys)


def latents(
  generator: eg3d.EG3D | stylegan2.Generator,
  variables: PyTree,
  z: Float[Array, 'b z'],
  c: Float[Array, 'b 25'] | None = None,
  *,
  truncation_psi: float | None = None,
) -> Float[Array, 'b k d']:
  """Return copies of w.

  Args:
    generator: EG3D or StyleGAN2.
    variables: its weights and buffers.
    z: latents.
    c: cameras that the mapping is shown, which an auto-decoder alone does not
      heed; None for zeros.
    truncation_psi: 1 or None for none.
  """
  c = jnp.zeros((z.shape[0], 25)) if c is None else c
  return model_lib.run(
    variables, generator.map, z, c, truncation_psi=truncation_psi
  )


def draw(
  generator: stylegan2.Generator, variables: PyTree, z: Float[Array, 'n z']
) -> Float[Array, 'n h h 3']:
  """Make images in two dimensions, without noise.

  Args:
    generator: StyleGAN2.
    variables: its weights and buffers.
    z: latents.
  """
  ws = model_lib.run(variables, generator.map, z, None)
  return model_lib.run(variables, generator.synthesize, ws, noise='none').image


def show(
  generator: eg3d.EG3D,
  variables: PyTree,
  ws: Float[Array, 'b k d'],
  camera: Float[Array, 'b v 25'],
  depth: Float[Array, 'n s s'] | None = None,
  keys: Key[Array, 'b'] | None = None,
) -> Shown:
  """Make several views of each scene; its planes are made once.

  Args:
    generator: EG3D.
    variables: its weights and buffers.
    ws: copies of w, see `latents`.
    camera: cameras of each scene.
    depth: along the rays, for `Shown.distance`; None for the mean depth.
    keys: for sampling along rays; None for the middles of all intervals.

  Returns:
    B V views.
  """
  config = generator.config
  side = config.rendering_resolution
  styles = model_lib.run(variables, generator.styles, ws)
  planes = model_lib.run(variables, generator.planes, styles)
  rays = _rays_of_scenes(camera, side)
  uniforms = None
  if keys is not None:
    counts = config.volume.coarse, config.volume.fine
    uniforms = _uniforms(keys, rays.origins.shape[1], *counts)
  seen = model_lib.run(variables, generator.trace_rays, planes, rays, uniforms)
  image = lambda x: x.reshape(-1, side, side, *x.shape[2:])
  mean = seen.depth[..., 0]
  asked = mean if depth is None else depth.reshape(mean.shape)
  middle = (seen.depths[..., 1:] + seen.depths[..., :-1]) / 2
  distance = (seen.weights * jnp.abs(middle - asked[..., None])).sum(-1)
  views = camera.shape[1]
  features = image(seen.features)
  styles = jax.tree.map(lambda x: jnp.repeat(x, views, 0), styles)
  return Shown(
    image=model_lib.run(variables, generator.enlarge, features, styles),
    raw=features[..., :3],
    alpha=image(seen.coverage[..., 0]),
    depth=image(mean),
    distance=image(distance),
    planes=planes,
  )


def _roughness(
  generator: eg3d.EG3D,
  variables: PyTree,
  planes: Float[Array, 'b 3 r r c'],
  keys: Key[Array, 'b'],
  losses: DecoderLosses,
) -> Float[Array, '']:
  """Return how much densities differ a small step apart, inside the box."""
  box = generator.config.volume.box

  def draw(key):
    for_points, for_steps = jax.random.split(key)
    shape = (losses.density_points, 3)
    points = jax.random.uniform(for_points, shape, minval=-0.5, maxval=0.5)
    steps = jax.random.normal(for_steps, shape) * losses.density_distance
    return points * box, steps

  points, steps = jax.vmap(draw)(keys)
  return losses_lib.roughness(generator, variables, planes, points, steps)


def decoder_loss(
  generator: eg3d.EG3D,
  variables: PyTree,
  codes: scene_codes.Codes,
  views: Views,
  keys: Key[Array, 'b'],
  losses: DecoderLosses,
  axis_name: str | None = None,
  *,
  c: Float[Array, 'b 25'] | None = None,
) -> tuple[Float[Array, ''], Metrics]:
  """Return the weighted loss of a batch, and its parts.

  Args:
    generator: EG3D.
    variables: its weights and buffers.
    codes: of all scenes.
    views: of some.
    keys: one for each scene of the batch.
    losses: weights.
    axis_name: of the devices that share a batch.
    c: cameras that the mapping is shown, see `latents`.

  Returns:
    The loss; and unweighted parts, of which 'depth_error' is the mean
    distance of depths where the scene covers the pixel, in units.
  """
  side = generator.config.rendering_resolution
  for_z, for_rays, for_points = jax.vmap(
    lambda key: tuple(jax.random.split(key, 3))
  )(keys)
  flat = lambda x: x.reshape(-1, *x.shape[2:])
  known = flat(views.alpha), flat(views.depth), flat(views.camera)
  alpha, depth = rendered_truth(*known, side)
  image = flat(views.image)
  raw = resize.resize(image, side)
  z = scene_codes.sample(codes, views.scene, for_z)
  ws = latents(generator, variables, z, c)
  shown = show(generator, variables, ws, views.camera, depth, for_rays)
  covered = alpha > _COVERED
  # One count for all devices, or their mean would weigh scenes unevenly.
  count = parallel.pmean(covered.sum().astype(jnp.float32), axis_name)
  count = jnp.maximum(count, 1.0)
  over = lambda x: jnp.where(covered, x, 0.0).sum() / count
  parts = {
    'image': pyramid_distance(shown.image, image, losses.levels),
    'raw': pyramid_distance(shown.raw, raw, losses.levels - 1),
    'alpha': jnp.square(shown.alpha - alpha).mean(),
    'depth': over(shown.distance),
    'prior': scene_codes.divergence(codes, views.scene),
    'density': _roughness(
      generator, variables, shown.planes, for_points, losses
    ),
  }
  total = sum(getattr(losses, name) * value for name, value in parts.items())
  parts['depth_error'] = over(jnp.abs(shown.depth - depth))
  return total, parts


def make_step(
  generator: eg3d.EG3D,
  tx: optax.GradientTransformation,
  losses: DecoderLosses,
  *,
  ema_decay: float,
):
  """Build `step(state, rng, views, buffers, axis_name=None)`.

  The state's params are a dict of the 'generator' and the 'codes'; `buffers`
  are the generator's. It returns the new state and metrics.

  Args:
    generator: EG3D.
    tx: optimiser.
    losses: weights.
    ema_decay: of the average that is kept for use.
  """

  def loss_fn(params, rng, views, buffers, axis_name):
    keys = parallel.example_keys(rng, views.scene.shape[0], axis_name)
    variables = {'params': params['generator'], 'buffers': buffers}
    return decoder_loss(
      generator, variables, params['codes'], views, keys, losses, axis_name
    )

  return state_lib.make_step(
    loss_fn,
    tx,
    ema_decay=ema_decay,
    # The latents' gradients say nothing of the generator's.
    watch=lambda grads: state_lib.gradient_norm(grads['generator']),
  )


def with_mean_latent(
  model: model_lib.Model, rng: Key[Array, ''], *, count: int = 10_000
) -> model_lib.Model:
  """Set the mean latent, toward which truncation pulls.

  Args:
    model: EG3D or StyleGAN2.
    rng: draws latents.
    count: how many.
  """
  generator: Any = model.module
  size = generator.config.backbone.z_dim
  z = jax.random.normal(rng, (count, size))
  ws = latents(generator, model.variables, z)
  mean = ws[:, 0].mean(0)
  buffers = jax.tree_util.tree_map_with_path(
    lambda path, leaf: mean if path[-1].key == 'w_avg' else leaf,
    model.variables['buffers'],
  )
  return model._replace(variables={**model.variables, 'buffers': buffers})
