"""A small judge of pictures: which of these phrases fits this head best?

Two towers, one of convolutions over a 64 px picture and one of the
mean of a phrase's words, meet in a dot product; a softmax over the phrases
that come into question gives probabilities. It knows the words of `captions`:
kinds of heads, views and lights. It is trained apart from everything that it
judges, on heads of its own (see `training`).

Shapes: `b` pictures, `n` phrases, `t` words, `d` features.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import os
import re
from typing import Any, TypeAlias

import flax
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray
import numpy as np

from maskjax.data.creatures import captions, creatures
from maskjax.studio import views as studio_views
from maskjax.training import settings
from maskjax.weights import bundled, diffusers_folder

# Pictures come from files or from the device.
_Either: TypeAlias = Array | np.ndarray

SIZE = 64  # side of the pictures in pixels
# The questions that it answers.
ATTRIBUTES = ('kind', 'view', 'light')
_MODEL_TYPE = 'maskjax_matcher'
_WORD = re.compile(r'[a-z0-9]+')
# They tell nothing and come and go with the phrase around them.
_SILENT = frozenset({'a', 'an', 'the'})


@dataclasses.dataclass(frozen=True)
class MatcherConfig:
  """Sizes of the networks, and the words they know.

  Attributes:
    words: words that are known, counted from 1; row 0 is no word.
    channels: widths of the image tower's levels, the finest first.
    features: width of the space in which pictures and phrases meet.
  """

  words: tuple[str, ...]
  channels: tuple[int, ...] = settings.number(
    1, 4096, most=6, default=(32, 64, 128, 192)
  )
  features: int = settings.number(1, 4096, default=96)

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> 'MatcherConfig':
    """Read the content of config.json."""
    fields = {field.name for field in dataclasses.fields(cls)}
    found = values.get('model_type')
    if found != _MODEL_TYPE or not fields <= values.keys():
      raise ValueError(
        f'config.json describes {found!r}, not a whole {_MODEL_TYPE!r}'
      )
    return settings.read(cls, {name: values[name] for name in fields})

  def to_dict(self) -> dict[str, Any]:
    """Return the content of config.json."""
    return {'model_type': _MODEL_TYPE} | dataclasses.asdict(self)


def _fold(x: Float[Array, 'b s s c']) -> Float[Array, 'b h w d']:
  """Fold each 2 x 2 square of pixels into channels."""
  count, size, _, channels = x.shape
  x = x.reshape(count, size // 2, 2, size // 2, 2, channels)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(
    count, size // 2, size // 2, 4 * channels
  )


class ImageTower(nn.Module):
  """sRGB pictures in [0, 1], f[b, 64, 64, 3] -> features f[b, d].

  Grids are halved by folding: on CPUs the gradients of strided convolutions
  take several times longer. The last grid is flattened, not averaged: left
  and right are to be told apart.
  """

  channels: tuple[int, ...]
  features: int

  @nn.compact
  def __call__(self, images: Float[Array, 'b s s 3']) -> Float[Array, 'b d']:
    """Return the pictures' features."""
    x = 2.0 * images - 1.0
    norm = functools.partial(nn.GroupNorm, num_groups=8)
    for level, width in enumerate(self.channels):
      x = _fold(x)
      if level:
        x = nn.Dense(width, use_bias=False, name=f'merges_{level}')(x)
        x = nn.relu(norm(name=f'merge_norms_{level}')(x))
      if level < len(self.channels) - 1:
        conv = nn.Conv(width, (3, 3), use_bias=False, name=f'convs_{level}')
        y = nn.relu(norm(name=f'conv_norms_{level}')(conv(x)))
        x = x + y if level else y
    x = x.reshape(x.shape[0], -1)
    return nn.Dense(self.features, name='project')(x)


class TextTower(nn.Module):
  """Word numbers i32[n, t], 0 for none -> features f[n, d]."""

  words: int
  features: int

  @nn.compact
  def __call__(self, tokens: Int[Array, 'n t']) -> Float[Array, 'n d']:
    """Return the phrases' features."""
    vectors = nn.Embed(self.words + 1, self.features, name='token_embedding')(
      tokens
    )
    known = (tokens > 0).astype(vectors.dtype)[..., None]
    # The norm divides by the number of words, too.
    x = nn.LayerNorm(name='norm')(jnp.sum(vectors * known, axis=-2))
    x = nn.relu(nn.Dense(2 * self.features, name='expand')(x))
    return nn.Dense(self.features, name='project')(x)


class MatcherNet(nn.Module):
  """Both towers and their dot product."""

  config: MatcherConfig

  @nn.compact
  def __call__(
    self, images: Float[Array, 'b s s 3'], tokens: Sequence[Int[Array, '_ _']]
  ) -> list[Float[Array, 'b _']]:
    """Return logits per set of phrases, whose numbers [n, t] may differ."""
    config = self.config
    seen = ImageTower(config.channels, config.features, name='image')(images)
    text = TextTower(len(config.words), config.features, name='text')
    scale = config.features**-0.5
    return [scale * seen @ text(phrases).T for phrases in tokens]


@flax.struct.dataclass
class Matcher:
  """A matcher with its parameters; a pytree whose leaves are arrays."""

  params: dict[str, Any]
  module: MatcherNet = flax.struct.field(pytree_node=False)


def _split(phrase: str) -> list[str]:
  words = _WORD.findall(phrase.lower())
  return [word for word in words if word not in _SILENT]


def vocabulary() -> tuple[str, ...]:
  """Return the words of all kinds, views and lights, in alphabetic order."""
  phrases = [name for names in captions.NAMES.values() for name in names]
  phrases += studio_views.view_names() + studio_views.lighting_names()
  return tuple(sorted({word for text in phrases for word in _split(text)}))


def tokenize(
  config: MatcherConfig, phrases: Sequence[str], *, length: int = 0
) -> Int[np.ndarray, 'n t']:
  """Return word numbers of phrases, padded with 0.

  Args:
    config: config of a matcher, whose words are counted from 1.
    phrases: phrases in the words of `captions`; case and articles do not
      matter.
    length: least number of columns of the result.

  Raises:
    ValueError: a word that the matcher does not know, or no word.
  """
  numbers = {word: index + 1 for index, word in enumerate(config.words)}
  rows = []
  for phrase in phrases:
    words = _split(phrase)
    unknown = [word for word in words if word not in numbers]
    if unknown or not words:
      raise ValueError(
        f'the matcher knows no word {unknown[0]!r} (in {phrase!r}); it knows '
        'kinds, views and lights in the words of captions'
        if unknown
        else f'the phrase {phrase!r} has no words'
      )
    rows.append([numbers[word] for word in words])
  width = max([length, *map(len, rows)])
  return np.array([row + [0] * (width - len(row)) for row in rows], np.int32)


def create(rng: PRNGKeyArray, config: MatcherConfig) -> Matcher:
  """Make a matcher with random weights.

  Args:
    rng: typed key.
    config: sizes of the networks and the words that they know.
  """
  module = MatcherNet(config)
  images = jnp.zeros((1, SIZE, SIZE, 3))
  tokens = (jnp.zeros((1, 1), jnp.int32),)
  return Matcher(jax.jit(module.init)(rng, images, tokens)['params'], module)


def logits(
  matcher: Matcher,
  images: Float[Array, 'b s s 3'],
  tokens: Sequence[Int[Array, '_ _']],
) -> list[Float[Array, 'b _']]:
  """Return how well each picture fits each phrase, per set of phrases.

  Args:
    matcher: networks and weights.
    images: sRGB in [0, 1].
    tokens: sets of phrases as numbers of words, see `tokenize`.
  """
  return matcher.module.apply({'params': matcher.params}, images, tokens)


@jax.jit
def _probabilities(matcher, images, tokens):
  return jax.nn.softmax(logits(matcher, images, (tokens,))[0], axis=-1)


def probabilities(
  matcher: Matcher,
  images: Float[_Either, 'b 64 64 3'],
  phrases: Sequence[str],
) -> Float[Array, 'b n']:
  """Return the probability of each phrase, if one of them is right.

  Args:
    matcher: networks and weights, see `load`.
    images: sRGB in [0, 1].
    phrases: alternatives, of which one is right, e.g. ('lion', 'Bengal tiger').

  Returns:
    Rows that sum to 1.

  Raises:
    ValueError: pictures of another shape, or words it does not know.
  """
  if images.ndim != 4 or images.shape[1:] != (SIZE, SIZE, 3):
    raise ValueError(
      f'the matcher takes pictures [b, {SIZE}, {SIZE}, 3], got {images.shape}'
    )
  tokens = tokenize(matcher.module.config, phrases)
  return _probabilities(matcher, jnp.asarray(images), jnp.asarray(tokens))


def kind_probabilities(
  matcher: Matcher, images: Float[_Either, 'b 64 64 3']
) -> Float[Array, 'b n']:
  """Return the probability of each kind, in the order of `creatures.KINDS`."""
  return probabilities(matcher, images, creatures.KINDS)


def view_probabilities(
  matcher: Matcher, images: Float[_Either, 'b 64 64 3']
) -> Float[Array, 'b n']:
  """Return the probability of each view, in the order of `view_names`."""
  return probabilities(matcher, images, studio_views.view_names())


def light_probabilities(
  matcher: Matcher, images: Float[_Either, 'b 64 64 3']
) -> Float[Array, 'b n']:
  """Return the probability of each light, as `lighting_names` has them."""
  return probabilities(matcher, images, studio_views.lighting_names())


def judge(
  matcher: Matcher,
  images: Float[_Either, 'n 64 64 3'],
  *,
  batch_size: int = 64,
) -> dict[str, Float[np.ndarray, 'n _']]:
  """Return the probabilities of all kinds, views and lights, by attribute.

  Args:
    matcher: networks and weights, see `load`.
    images: sRGB in [0, 1], any number of them.
    batch_size: number of pictures that are looked at together.
  """
  functions = (kind_probabilities, view_probabilities, light_probabilities)
  parts: dict[str, list[np.ndarray]] = {name: [] for name in ATTRIBUTES}
  for start in range(0, len(images), batch_size):
    piece = np.asarray(images[start : start + batch_size])
    missing = batch_size - len(piece) if start else 0  # no second compilation
    padded = np.pad(piece, ((0, missing), (0, 0), (0, 0), (0, 0)))
    for name, function in zip(ATTRIBUTES, functions):
      parts[name].append(np.asarray(function(matcher, padded))[: len(piece)])
  return {name: np.concatenate(rows) for name, rows in parts.items()}


def _shapes(config: MatcherConfig) -> dict[str, Any]:
  return jax.eval_shape(lambda: create(jax.random.key(0), config).params)


def load(folder: str | os.PathLike | None = None) -> Matcher:
  """Read a matcher.

  Args:
    folder: folder with config.json and model.safetensors; None takes the one
      that comes with the package.

  Raises:
    ValueError: the folder is missing, broken, or holds something else.
    FileNotFoundError: the package comes without a matcher.
  """
  folder = folder or bundled.bundled_path('matcher')
  values, params = diffusers_folder.read_component(
    folder, shapes=lambda values: _shapes(MatcherConfig.from_dict(values))
  )
  module = MatcherNet(MatcherConfig.from_dict(values))
  return Matcher(jax.tree.map(jnp.asarray, params), module)


def save(
  folder: str | os.PathLike, matcher: Matcher, *, dtype: str = 'float16'
) -> None:
  """Write config.json and model.safetensors, whole or not at all.

  Args:
    folder: where the two files go; made where it is missing.
    matcher: networks and weights.
    dtype: type in which weights are stored.
  """
  diffusers_folder.write_component(
    folder, matcher.module.config.to_dict(), matcher.params, dtype=dtype
  )
