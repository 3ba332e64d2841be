"""The mapping network: from latents and conditions to intermediate latents w.

Shapes: B batch, Z C D sizes of latent, condition and intermediate latent, N
copies of w that a synthesis network takes. Follows Karras et al., "A
Style-Based Generator Architecture", CVPR 2019, section 2 and appendix B
(truncation), and StyleGAN2-ADA for the condition.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from maskjax.gan import layers

# Learning rate of the layers with respect to the other networks'.
LR_MULTIPLIER = 0.01


def truncate(
  ws: Float[Array, 'b n d'],
  w_avg: Float[Array, 'd'],
  psi: float | Float[Array, ''],
  cutoff: int | None = None,
) -> Float[Array, 'b n d']:
  """Pull latents toward the mean latent.

  Args:
    ws: latents.
    w_avg: mean latent.
    psi: 1 leaves the latents, 0 gives the mean.
    cutoff: number of the first copies that are pulled; None for all.

  Returns:
    w_avg + psi (w - w_avg).
  """
  mean = w_avg[None, None]
  pulled = mean + psi * (ws - mean)
  if cutoff is None:
    return pulled
  return jnp.concatenate([pulled[:, :cutoff], ws[:, cutoff:]], 1)


def mix(
  ws: Float[Array, 'b n d'],
  others: Float[Array, 'b n d'],
  cut: int | Int[Array, 'b'],
) -> Float[Array, 'b n d']:
  """Take the first copies of w from some latents and the last from others.

  The first copies drive the coarse blocks (pose, shape), the last ones the
  fine blocks (colours); section 3.1 of Karras et al. 2019. In EG3D the last
  copy drives super-resolution, too.

  Args:
    ws: latents of the copies before `cut`.
    others: latents of the copies from `cut` on.
    cut: 0 gives `others`, N gives `ws`; one number, or one for each sample.
  """
  first = jnp.arange(ws.shape[1])[None] < jnp.atleast_1d(cut)[:, None]
  return jnp.where(first[..., None], ws, others)


class Mapping(nn.Module, kw_only=True):
  """Latent and condition to w; a discriminator maps its condition alone.

  Attributes:
    z_dim: size of the latent, 0 for none.
    c_dim: size of the condition, 0 for none.
    w_dim: size of w.
    num_ws: copies of w to return; None for one without an axis of copies, and
      without a mean latent.
    num_layers: dense layers after the embedding of the condition.
    embed_features: size of the embedded condition; None for w_dim.
    layer_features: size of the hidden layers; None for w_dim.
  """

  z_dim: int
  c_dim: int
  w_dim: int
  num_ws: int | None
  num_layers: int = 8
  embed_features: int | None = None
  layer_features: int | None = None

  @nn.compact
  def __call__(
    self,
    z: Float[Array, 'b z'] | None,
    c: Float[Array, 'b c'] | None = None,
    *,
    truncation_psi: float | None = None,
    truncation_cutoff: int | None = None,
  ) -> Float[Array, 'b n d'] | Float[Array, 'b d']:
    """Map latents.

    Args:
      z: latents, standard normal; ignored without a size.
      c: conditions; ignored without a size.
      truncation_psi: see `truncate`; None for no truncation.
      truncation_cutoff: see `truncate`.

    Returns:
      `num_ws` copies of w, truncated; or one w as it is.
    """
    parts = []
    if self.z_dim:
      parts.append(layers.normalize_second_moment(z))
    if self.c_dim:
      size = self.embed_features or self.w_dim
      embedded = layers.Dense(size, name='embed')(c)
      parts.append(layers.normalize_second_moment(embedded))
    x = jnp.concatenate(parts, -1)
    hidden = self.layer_features or self.w_dim
    for i in range(self.num_layers):
      size = self.w_dim if i == self.num_layers - 1 else hidden
      x = layers.Dense(size, 'lrelu', LR_MULTIPLIER, name=f'fc{i}')(x)
    if self.num_ws is None:
      return x
    w_avg = self.variable('buffers', 'w_avg', jnp.zeros, (self.w_dim,))
    ws = jnp.repeat(x[:, None], self.num_ws, 1)
    if truncation_psi is None:
      return ws
    return truncate(ws, w_avg.value, truncation_psi, truncation_cutoff)
