"""Comparing the folder of a model, part by part, with PyTorch.

A folder is a whole model as diffusers writes it, or one part of it.
"""

from collections.abc import Iterable, Iterator, Sequence
import math
import os
import pathlib

from maskjax.diffusion import clip, component, controlnet, unet, vae
from maskjax.parity import networks, torch_peer
from maskjax.weights import hub

_CONFIG_PARTS = {
  clip.ClipTextConfig: 'text_encoder',
  unet.UNetConfig: 'unet',
  controlnet.ControlNetConfig: 'controlnet',
  vae.VaeConfig: 'vae',
}


def find_parts(folder: str | os.PathLike) -> dict[str, list[pathlib.Path]]:
  """Find what a folder holds: a whole model, or a single part.

  Args:
    folder: with unet/, vae/ and so on, or with a config.json,
      scheduler_config.json or tokenizer's files of its own.

  Returns:
    Folders by part; there may be several ControlNets.

  Raises:
    ValueError: it holds nothing that could be compared.
  """
  folder = pathlib.Path(folder)
  if (folder / 'config.json').is_file():
    return {_CONFIG_PARTS[type(component.read_config(folder))]: [folder]}
  if (folder / 'scheduler_config.json').is_file():
    return {'scheduler': [folder]}
  if any((folder / n).is_file() for n in ('vocab.json', 'tokenizer.json')):
    return {'tokenizer': [folder]}
  found = {
    part: [folder / part]
    for part in networks.CHECKS
    if (folder / part).is_dir()
  }
  if more := sorted(folder.glob('controlnet_[0-9]*')):
    found.setdefault('controlnet', []).extend(more)
  if not found:
    raise ValueError(
      f'{folder}: nothing to compare; expected a diffusers folder with some '
      f'of {", ".join(networks.CHECKS)}, or a folder with one config.json'
    )
  return found


def check(
  model: str | os.PathLike,
  *,
  controlnets: Sequence[str | os.PathLike] = (),
  parts: Sequence[str] = (),
  tolerance: float = networks.TOLERANCE,
  variant: str | None = None,
  reference: str | os.PathLike | None = None,
  revision: str | None = None,
  seed: int = 0,
) -> Iterator[networks.Row]:
  """Compare the parts of a folder with PyTorch, one after the other.

  Args:
    model: folder of a model or of one part, or the id of such a one on the
      Hugging Face Hub.
    controlnets: folders or ids of further ControlNets.
    parts: which of `networks.CHECKS`; all that there are if empty.
    tolerance: largest relative L2 error of networks that passes.
    variant: of the weights, e.g. 'fp16'; see `component.load`.
    reference: folder or id of the same parts that PyTorch opens in place of
      it: what was written here can be compared with what it was read from.
    revision: of the model, where it is an id; None for the newest.
    seed: of the inputs.

  Yields:
    A row for each output; a part that cannot be compared is a row that does
    not pass and says why.

  Raises:
    ValueError: PyTorch is not installed, or the folder has no such part.
  """
  folder = hub.resolve(model, revision=revision)
  torch_peer.libraries()
  found = find_parts(folder)
  peers = {}
  if reference is not None:
    others = find_parts(hub.resolve(reference))
    for part, places in found.items():
      peers |= dict(zip(places, others.get(part, [])))
  for path in controlnets:
    found.setdefault('controlnet', []).append(hub.resolve(path))
  if missing := [part for part in parts if part not in found]:
    raise ValueError(
      f'{folder} has no {", ".join(missing)}, only {", ".join(found)}'
    )
  options = networks.Options(
    tolerance=tolerance,
    variant=variant,
    seed=seed,
    parts=found,
    peers=peers,
  )
  for part in [part for part in networks.CHECKS if part in (parts or found)]:
    for path in found.get(part, ()):
      try:
        yield from networks.CHECKS[part](path, options)
      except (ValueError, OSError) as error:
        reason = ' '.join(str(error).split())
        yield networks.Row(part, path.name, math.nan, tolerance, reason)


def told(rows: Iterable[networks.Row]) -> bool:
  """Print a line of each comparison while it comes, and how many pass.

  Args:
    rows: as `check` yields them.

  Returns:
    Whether all pass.
  """
  passed = []
  for row in rows:
    print(row, flush=True)
    passed.append(row.passed)
  print(f'{sum(passed)} of {len(passed)} pass')
  return all(passed)
