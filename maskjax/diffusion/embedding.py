"""What a UNet and a ControlNet know of the moment: timestep, class, guidance.

Classes are those of Stable Diffusion's relatives: the level of noise on a
picture to be enlarged (a table), or the embedding of a picture to be varied.

Shapes: B batch, C channels of the finest block, E size of the embedding.
Source: Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020.
"""

from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from maskjax.diffusion import config as config_lib, layers

_CLASS_TYPES = (None, 'timestep', 'identity', 'projection')


@runtime_checkable
class Config(Protocol):
  """What is read here of a UNetConfig or a ControlNetConfig; see the former."""

  @property
  def block_out_channels(self) -> tuple[int, ...]:
    """Channels of each block, fine to coarse."""

  @property
  def flip_sin_to_cos(self) -> bool:
    """Cosines before sines in the timestep embedding."""

  @property
  def freq_shift(self) -> float:
    """Shift of the timestep embedding's frequencies."""

  @property
  def class_embed_type(self) -> str | None:
    """How classes are embedded; None by a table."""

  @property
  def num_class_embeds(self) -> int | None:
    """Rows of that table; None for no classes."""

  @property
  def projection_class_embeddings_input_dim(self) -> int | None:
    """Size of what is projected."""

  @property
  def time_embedding_dim(self) -> int | None:
    """E; None for 4 C."""

  @property
  def time_cond_proj_dim(self) -> int | None:
    """Size of an embedded guidance scale; None for none."""


def check(config: Config) -> None:
  """Check the fields of a UNet's or ControlNet's config that are read here.

  Args:
    config: of the network.

  Raises:
    ValueError: an unsupported value, or a size that is missing.
  """
  kind = config.class_embed_type
  config_lib.check_choice('class_embed_type', kind, _CLASS_TYPES)
  if kind == 'projection' and not config.projection_class_embeddings_input_dim:
    raise ValueError(
      f'class_embed_type={kind!r} needs projection_class_embeddings_input_dim'
    )


def size(config: Config) -> int:
  """Return E, the size of the embedding."""
  return config.time_embedding_dim or 4 * config.block_out_channels[0]


def class_labels(config: Config, batch: int) -> jax.ShapeDtypeStruct | None:
  """Return shape and type of the class labels.

  Args:
    config: of the network.
    batch: B, the number of samples.

  Returns:
    A float for each sample ('timestep'), a row of floats ('identity' and
    'projection') or the number of a class; None for a network without.
  """
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


def guidance_labels(config: Config, batch: int) -> jax.ShapeDtypeStruct | None:
  """Return shape and type of the embedded guidance scale.

  Args:
    config: of the network.
    batch: B, the number of samples.

  Returns:
    A row of floats for each sample; None for a network without.
  """
  if not config.time_cond_proj_dim:
    return None
  shape = (batch, config.time_cond_proj_dim)
  return jax.ShapeDtypeStruct(shape, jnp.float32)


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
    dtype = self.dtype
    if self.guidance and guidance is not None:
      features = embedding.shape[-1]
      project = layers.Dense(
        features, use_bias=False, dtype=dtype, name='cond_proj'
      )
      embedding = embedding + project(guidance)
    hidden = layers.Dense(self.features, dtype=dtype, name='linear_1')(
      embedding
    )
    return layers.Dense(self.features, dtype=dtype, name='linear_2')(
      nn.silu(hidden)
    )


def _sinusoidal(
  config: Config, values: Num[Array, 'b'], dtype: Any
) -> Float[Array, 'b c']:
  embedded = layers.timestep_embedding(
    values,
    config.block_out_channels[0],
    flip_sin_to_cos=config.flip_sin_to_cos,
    freq_shift=config.freq_shift,
  )
  return embedded.astype(dtype)


def _embed_class(
  config: Config, labels: Num[Array, 'b ...'] | None, batch: int, dtype: Any
) -> Float[Array, 'b e'] | None:
  """Embed class labels; called inside the module that owns the layers."""
  expected = class_labels(config, batch)
  if expected is None:
    if labels is not None:
      raise ValueError('class labels for a network that takes none')
    return None
  if labels is None or jnp.shape(labels) != expected.shape:
    raise ValueError(
      'the network takes class labels (class_embed_type='
      f'{config.class_embed_type!r}, num_class_embeds='
      f'{config.num_class_embeds}): give an array of shape {expected.shape}'
    )
  kind, features = config.class_embed_type, size(config)
  if kind == 'identity':
    return labels.astype(dtype)
  if kind is None and config.num_class_embeds is not None:
    table = nn.Embed(config.num_class_embeds, features, name='class_embedding')
    return table(labels).astype(dtype)
  if kind == 'timestep':
    labels = _sinusoidal(config, labels, dtype)
  return TimestepMlp(features, dtype=dtype, name='class_embedding')(labels)


def embed(
  config: Config,
  timesteps: Num[Array, '*b'] | float,
  batch: int,
  dtype: Any,
  *,
  labels: Num[Array, 'b ...'] | None = None,
  guidance: Float[Array, 'b g'] | None = None,
) -> Float[Array, 'b e']:
  """Embed the moment; to be called inside the module that owns the layers.

  Args:
    config: of the network.
    timesteps: in [0, number of training timesteps): one for all samples, or
      one for each.
    batch: B, the number of samples.
    dtype: type to compute in.
    labels: classes of the samples, of the shape that `class_labels` returns;
      None where it returns None.
    guidance: embedded guidance scales, of the shape that `guidance_labels`
      returns; None leaves them out.

  Returns:
    What every residual block receives.

  Raises:
    ValueError: labels that the network does not take, or none where it does.
  """
  timesteps = jnp.broadcast_to(jnp.asarray(timesteps), (batch,))
  embedding = TimestepMlp(
    size(config),
    config.time_cond_proj_dim,
    dtype,
    name='time_embedding',
  )(_sinusoidal(config, timesteps, dtype), guidance)
  classes = _embed_class(config, labels, batch, dtype)
  return embedding if classes is None else embedding + classes
