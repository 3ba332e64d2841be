"""What a UNet and a ControlNet know of the moment: timestep, class, guidance.

Classes are those of Stable Diffusion's relatives: the level of noise on a
picture to be enlarged (a table), or the embedding of a picture to be varied.

Shapes: B batch, C channels of the finest block, E size of the embedding.
Source: Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from maskjax.diffusion import config as config_lib, layers

_CLASS_TYPES = (None, 'timestep', 'identity', 'projection')


def check(config: Any) -> None:
  """Check the fields of a UNet's or ControlNet's config that are read here.

  Raises:
    ValueError: an unsupported value, or a size that is missing.
  """
  kind = config.class_embed_type
  config_lib.check_choice('class_embed_type', kind, _CLASS_TYPES)
  if kind == 'projection' and not config.projection_class_embeddings_input_dim:
    raise ValueError(
      f'class_embed_type={kind!r} needs projection_class_embeddings_input_dim'
    )


def size(config: Any) -> int:
  """Return E."""
  given = getattr(config, 'time_embedding_dim', None)
  return given or 4 * config.block_out_channels[0]


def class_labels(config: Any, batch: int) -> jax.ShapeDtypeStruct | None:
  """Return shape and type of the class labels; None if there are none."""
  kind = config.class_embed_type
  if kind == 'timestep':
    return jax.ShapeDtypeStruct((batch,), jnp.float32)
  if kind == 'identity':
    return jax.ShapeDtypeStruct((batch, size(config)), jnp.float32)
  if kind == 'projection':
    width = config.projection_class_embeddings_input_dim
    return jax.ShapeDtypeStruct((batch, width), jnp.float32)
  if config.num_class_embeds is not None:
    return jax.ShapeDtypeStruct((batch,), jnp.int32)
  return None


def guidance_labels(config: Any, batch: int) -> jax.ShapeDtypeStruct | None:
  """Return shape and type of the embedded guidance; None if there is none."""
  width = getattr(config, 'time_cond_proj_dim', None)
  return width and jax.ShapeDtypeStruct((batch, width), jnp.float32)


class TimestepMlp(nn.Module):
  """The two linear layers after a sinusoidal embedding.

  Attributes:
    features: E.
    guidance: size of the embedded guidance, if the network takes it.
    dtype: type it computes in.
  """

  features: int
  guidance: int | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    embedding: Float[Array, 'b c'],
    guidance: Float[Array, 'b g'] | None = None,
  ) -> Float[Array, 'b e']:
    """Return the embedding that every residual block receives."""
    dense = lambda features, name, **options: layers.Dense(
      features, dtype=self.dtype, name=name, **options
    )
    if self.guidance and guidance is not None:
      project = dense(embedding.shape[-1], 'cond_proj', use_bias=False)
      embedding = embedding + project(guidance)
    hidden = nn.silu(dense(self.features, 'linear_1')(embedding))
    return dense(self.features, 'linear_2')(hidden)


def _sinusoidal(config: Any, values: Num[Array, 'b'], dtype: Any) -> Array:
  embedded = layers.timestep_embedding(
    values,
    config.block_out_channels[0],
    flip_sin_to_cos=config.flip_sin_to_cos,
    freq_shift=config.freq_shift,
  )
  return embedded.astype(dtype)


def _embed_class(config: Any, labels: Array | None, batch: int, dtype: Any):
  """Embed class labels; called inside the module that owns the layers."""
  expected = class_labels(config, batch)
  if expected is None:
    if labels is not None:
      raise ValueError('class labels for a network that takes none')
    return 0.0
  if labels is None or jnp.shape(labels) != expected.shape:
    raise ValueError(
      'the network takes class labels (class_embed_type='
      f'{config.class_embed_type!r}, num_class_embeds='
      f'{config.num_class_embeds}): give an array of shape {expected.shape}'
    )
  kind, features = config.class_embed_type, size(config)
  if kind == 'identity':
    return labels.astype(dtype)
  if kind is None:
    table = nn.Embed(config.num_class_embeds, features, name='class_embedding')
    return table(labels).astype(dtype)
  if kind == 'timestep':
    labels = _sinusoidal(config, labels, dtype)
  return TimestepMlp(features, dtype=dtype, name='class_embedding')(labels)


def embed(
  config: Any,
  timesteps: Num[Array, '...'],
  batch: int,
  dtype: Any,
  *,
  labels: Num[Array, 'b ...'] | None = None,
  guidance: Float[Array, 'b g'] | None = None,
) -> Float[Array, 'b e']:
  """Embed the moment; to be called inside the module that owns the layers.

  Args:
    config: a UNetConfig or a ControlNetConfig.
    timesteps: one, or one for each sample.
    batch: B.
    dtype: type to compute in.
    labels: see `class_labels`.
    guidance: see `guidance_labels`; None leaves it out.

  Raises:
    ValueError: labels that the network does not take, or none where it does.
  """
  timesteps = jnp.broadcast_to(jnp.asarray(timesteps), (batch,))
  embedding = TimestepMlp(
    size(config),
    getattr(config, 'time_cond_proj_dim', None),
    dtype,
    name='time_embedding',
  )(_sinusoidal(config, timesteps, dtype), guidance)
  return embedding + _embed_class(config, labels, batch, dtype)
