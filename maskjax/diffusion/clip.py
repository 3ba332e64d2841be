"""The text encoder of Stable Diffusion: CLIP's causal transformer.

Parameters map one to one onto PyTorch transformers' CLIPTextModel.

Shapes: B batch, T tokens, C size of a token's state. Follows Radford et al.,
"Learning Transferable Visual Models From Natural Language Supervision", 2021.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from maskjax.diffusion import config as config_lib, layers
from maskjax.training import settings as settings_lib

_FIXED = {'attention_dropout': 0.0, 'pruned_heads': {}}
# Records, and what transformers keeps in every config: about the start of
# training, the form of outputs, and the generation of text.
_IGNORED = (
  'architectures',
  'chunk_size_feed_forward',
  'diversity_penalty',
  'dropout',
  'dtype',
  'encoder_no_repeat_ngram_size',
  'id2label',
  'initializer_factor',
  'initializer_range',
  'label2id',
  'length_penalty',
  'max_length',
  'min_length',
  'model_type',
  'no_repeat_ngram_size',
  'num_beam_groups',
  'num_beams',
  'num_return_sequences',
  'output_attentions',
  'output_hidden_states',
  'repetition_penalty',
  'return_dict',
  'temperature',
  'tie_word_embeddings',
  'tokenizer_class',
  'top_k',
  'top_p',
  'torch_dtype',
  'transformers_version',
  'typical_p',
  'use_cache',
)
_ACTIVATIONS = {
  'quick_gelu': lambda x: x * jax.nn.sigmoid(1.702 * x),
  'gelu': lambda x: jax.nn.gelu(x, approximate=False),
}

_number = settings_lib.number


@dataclasses.dataclass(frozen=True)
class ClipTextConfig:
  """Keys of text_encoder/config.json; defaults as in transformers.

  Attributes:
    vocab_size: number of tokens of the tokenizer.
    hidden_size: size of a token's state.
    intermediate_size: width of the feed-forward layers.
    projection_dim: of CLIP's shared space; only a record.
    num_hidden_layers: transformer layers.
    num_attention_heads: heads of each layer.
    max_position_embeddings: longest caption, in tokens.
    hidden_act: 'quick_gelu' (Stable Diffusion 1) or 'gelu' (2).
    layer_norm_eps: epsilon of the normalisations.
    pad_token_id: only a record.
    bos_token_id: only a record.
    eos_token_id: the token whose state is the pooled output; 2 stands for
      the token of the highest id, as old configs are written.
  """

  vocab_size: int = _number(1, 2**24, default=49408)
  hidden_size: int = _number(1, 2**14, default=512)
  intermediate_size: int = _number(1, 2**16, default=2048)
  projection_dim: int | None = _number(0, 2**16, default=512)
  num_hidden_layers: int = _number(1, 256, default=12)
  num_attention_heads: int = _number(1, 1024, default=8)
  max_position_embeddings: int = _number(1, 2**16, default=77)
  hidden_act: str = 'quick_gelu'
  layer_norm_eps: float = _number(0, 1, default=1e-5)
  pad_token_id: int | None = _number(-1, 2**24, default=1)
  bos_token_id: int | None = _number(-1, 2**24, default=49406)
  eos_token_id: int | None = _number(-1, 2**24, default=49407)

  def __post_init__(self):
    config_lib.check_choice('hidden_act', self.hidden_act, tuple(_ACTIVATIONS))
    if self.hidden_size % self.num_attention_heads:
      raise ValueError(
        f'num_attention_heads={self.num_attention_heads} does not divide '
        f'hidden_size={self.hidden_size}'
      )

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> 'ClipTextConfig':
    """Read the content of text_encoder/config.json.

    Raises:
      ValueError: a key has a value that this network does not support.
    """
    return config_lib.parse(cls, values, fixed=_FIXED, ignored=_IGNORED)

  def to_dict(self) -> dict[str, Any]:
    """Return the content of text_encoder/config.json."""
    fields = config_lib.dump(self, '')
    del fields['_class_name']
    return {
      'architectures': ['CLIPTextModel'],
      'model_type': 'clip_text_model',
      'attention_dropout': 0.0,
      **fields,
    }


class Embeddings(nn.Module):
  """Looks tokens up and adds their positions."""

  config: ClipTextConfig

  @nn.compact
  def __call__(self, input_ids: Int[Array, 'b t']) -> Float[Array, 'b t c']:
    """Return the states that enter the first layer."""
    table = lambda count, name: nn.Embed(
      count,
      self.config.hidden_size,
      embedding_init=nn.initializers.normal(0.02),
      name=name,
    )
    tokens = table(self.config.vocab_size, 'token_embedding')(input_ids)
    positions = table(
      self.config.max_position_embeddings, 'position_embedding'
    )(jnp.arange(input_ids.shape[1]))
    return tokens + positions[None]


class SelfAttention(nn.Module):
  """Causal multi-head attention."""

  heads: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b t c']) -> Float[Array, 'b t c']:
    """Return what each token gathers from those before it and itself."""
    project = lambda name, y: layers.Dense(
      x.shape[-1], dtype=self.dtype, name=name
    )(y)
    query, key = project('q_proj', x), project('k_proj', x)
    value = project('v_proj', x)
    out = layers.attend(query, key, value, heads=self.heads, causal=True)
    return project('out_proj', out)


class Mlp(nn.Module):
  """The feed-forward network of a layer."""

  config: ClipTextConfig
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b t c']) -> Float[Array, 'b t c']:
    """Return the transformed states."""
    hidden = layers.Dense(
      self.config.intermediate_size, dtype=self.dtype, name='fc1'
    )(x)
    hidden = _ACTIVATIONS[self.config.hidden_act](hidden)
    return layers.Dense(x.shape[-1], dtype=self.dtype, name='fc2')(hidden)


class EncoderLayer(nn.Module):
  """Attention and feed-forward, each after a normalisation and added."""

  config: ClipTextConfig
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b t c']) -> Float[Array, 'b t c']:
    """Return the transformed states."""
    config = self.config
    norm = lambda name: layers.LayerNorm(
      config.layer_norm_eps, dtype=self.dtype, name=name
    )
    attention = SelfAttention(
      config.num_attention_heads, self.dtype, name='self_attn'
    )
    x = x + attention(norm('layer_norm1')(x))
    return x + Mlp(config, self.dtype, name='mlp')(norm('layer_norm2')(x))


class Encoder(nn.Module):
  """The stack of layers."""

  config: ClipTextConfig
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b t c']) -> Float[Array, 'b t c']:
    """Return the states after the last layer."""
    for i in range(self.config.num_hidden_layers):
      x = EncoderLayer(self.config, self.dtype, name=f'layers_{i}')(x)
    return x


def pool(
  input_ids: Int[Array, 'b t'],
  hidden: Float[Array, 'b t c'],
  eos_token_id: int | None,
) -> Float[Array, 'b c']:
  """Return the state of each caption's first end-of-text token.

  Args:
    input_ids: ids of each caption's tokens.
    hidden: the tokens' states.
    eos_token_id: the end token; 2 or None take the token of the highest id.

  Returns:
    One state for each caption.
  """
  if eos_token_id in (2, None):
    where = jnp.argmax(input_ids, axis=-1)
  else:
    where = jnp.argmax(input_ids == eos_token_id, axis=-1)
  return jnp.take_along_axis(hidden, where[:, None, None], axis=1)[:, 0]


class CLIPTextModel(nn.Module):
  """Encodes captions as one state for each token."""

  config: ClipTextConfig
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, input_ids: Int[Array, 'b t'], *, pooled: bool = False
  ) -> (
    Float[Array, 'b t c'] | tuple[Float[Array, 'b t c'], Float[Array, 'b c']]
  ):
    """Encode tokens.

    Args:
      input_ids: tokens, at most `max_position_embeddings` for each caption.
      pooled: return the pooled output too.

    Returns:
      The last hidden states after the final normalisation, float32; with
      `pooled`, also the state of the end-of-text token.

    Raises:
      ValueError: captions longer than the position table.
    """
    length = self.config.max_position_embeddings
    if input_ids.shape[1] > length:
      raise ValueError(
        f'captions of {input_ids.shape[1]} tokens, but the text encoder has '
        f'{length} positions; cut the captions'
      )
    x = Embeddings(self.config, name='embeddings')(input_ids)
    x = Encoder(self.config, self.dtype, name='encoder')(x.astype(self.dtype))
    x = layers.LayerNorm(
      self.config.layer_norm_eps, dtype=self.dtype, name='final_layer_norm'
    )(x)
    x = x.astype(jnp.float32)
    if pooled:
      return x, pool(input_ids, x, self.config.eos_token_id)
    return x


def parameter_shapes(config: ClipTextConfig) -> dict[str, Any]:
  """Return the parameters' tree with shapes in place of arrays."""
  return jax.eval_shape(
    CLIPTextModel(config).init,
    jax.random.key(0),
    jnp.zeros((1, 1), jnp.int32),
  )['params']
