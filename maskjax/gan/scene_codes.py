"""Distributions of latents, one for each scene of an auto-decoder.

Each scene has a normal distribution over z, with a mean of its own and
deviations that all scenes share; together they are held to N(0, I), from which
new scenes are drawn.

Shapes: N scenes, B of a batch, Z size of z. Follows Bojanowski et al.,
"Optimizing the Latent Space of Generative Networks", ICML 2018 (latents as
weights), and Zadeh et al., "Variational Auto-Decoder", 2019.
"""

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key


@flax.struct.dataclass
class Codes:
  """Distributions of latents.

  Attributes:
    mean: of each scene.
    log_deviation: of all scenes.
  """

  mean: Float[Array, 'n z']
  log_deviation: Float[Array, 'z']


def divergence(codes: Codes, scene: Int[Array, 'b']) -> Float[Array, '']:
  """Return the divergence of scenes' latents from N(0, I), a mean over z."""
  mean, log = codes.mean[scene], codes.log_deviation
  return 0.5 * (
    jnp.square(mean).mean() + (jnp.exp(2 * log) - 2 * log - 1).mean()
  )


def sample(
  codes: Codes, scene: Int[Array, 'b'], keys: Key[Array, 'b']
) -> Float[Array, 'b z']:
  """Draw a latent for each scene."""
  size = codes.log_deviation.shape
  noise = jax.vmap(lambda key: jax.random.normal(key, size))(keys)
  return codes.mean[scene] + noise * jnp.exp(codes.log_deviation)[None]
