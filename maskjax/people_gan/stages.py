"""The stages of the source domain: a name and what builds it, a row each."""

from collections.abc import Callable
import functools

from maskjax.people_gan import adversarial, decoder, networks, stage, student

# `create(settings, data, begin)` builds a stage; see the modules.
STAGES: dict[str, Callable[..., stage.Stage]] = {
  'decoder': decoder.create,
  'adversarial': adversarial.create,
  'student': student.create,
  'stylegan2': functools.partial(
    adversarial.create, make=networks.flat_generator
  ),
}
