"""What the making of a mask can be told; its values are in configs/mask.py.

A field is declared here, with its unit and limits, and given a value there.
"""

import dataclasses

from maskjax.diffusion import distill, sampling
from maskjax.geometry import mesh_io
from maskjax.studio import words as studio_words
from maskjax.training import settings as settings_lib, trainer

_number, _span = settings_lib.number, settings_lib.span
# More training, "back" and another export may have these different.
_may_change = settings_lib.may_change


def _unknown_light(names: tuple[str, ...]) -> str | None:
  """Say which of some names is that of no light."""
  known = studio_words.LIGHT_COLORS
  unknown = [name for name in names if name not in known]
  if not unknown:
    return None
  return f'no light is called {unknown[0]!r}; use {", ".join(known)}'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sdf:
  """A signed distance on a grid, of which a mesh is made."""

  cell: float = _number(0.3, 5)  # cm between grid points
  margin: float = _number(1, 20)  # cm around the start shape, to grow into
  # Faces that there is room for, times those of the start shape.
  headroom: float = _may_change(_number(1, 100))
  passes: int = _number(0, 100)  # of smoothing

  def __post_init__(self) -> None:
    """Refuse a margin that the grid cannot show."""
    if self.margin < 2 * self.cell:
      raise ValueError(
        f'sdf.margin is {self.margin}; give at least two cells, '
        f'{2 * self.cell} cm'
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diffusion:
  """The diffusion model that judges the renders."""

  path: str  # folder in the layout of diffusers, or id; empty: the bundled one
  dtype: str  # what it computes in: see `parallel.compute_dtype`
  variant: str  # of the weights' files, e.g. 'fp16'
  remat: bool  # less memory, a longer backward pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapeJudge:
  """A second diffusion model, which judges pictures of normals."""

  path: str  # folder in the layout of diffusers, or id; empty: none
  weight: float = _number(0, 1000)  # of its residual, beside the first model's
  suffix: str  # words after the prompt


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlNet:
  """ControlNets in place of the model's own, and what they are shown."""

  path: str  # folders, separated by commas
  shows: str  # names of `control.SHOWN`, one for each; empty: by channels
  scales: tuple[float, ...] = _number(0, 10)  # one for all, or one for each


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstImage:
  """The picture that the start shape is painted with."""

  steps: int = _number(1, 1000)
  sampler: str = settings_lib.choice('auto', *sampling.METHODS)
  guidance_scale: float = _number(0)
  guidance_rescale: float = _number(0, 1)
  mask_scale: float = _number(0, 10)  # strength of the 2D mask, 0 for none
  # How strongly the colours, seen from the front, are held to the picture.
  likeness: float = _number(0)
  # How strongly the shape, seen from the front, is held to its normals and its
  # outline, where the model paints them.
  shape_likeness: float = _number(0)
  # Whether a model that sees views together sees it beside them, unnoised.
  seen: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Views:
  """Cameras, lights and words of a step; angles in degrees."""

  count: int = _number(1, 1024)
  azimuth: tuple[float, float] = _span(-180, 180)  # to the viewer's right
  elevation: tuple[float, float] = _span(-89, 89)
  fovy: tuple[float, float] = _span(5, 120)  # vertical field of view
  distance: tuple[float, float] = _span(0.3, 10)  # 1 shows 40 cm
  uniform_light: float = _number(0, 1)  # how often light is white and even
  light_colors: tuple[str, ...] = settings_lib.checked(_unknown_light)
  light_jitter: float = _number(0, 1)
  prompt_form: str = settings_lib.choice(*studio_words.PROMPT_FORMS)
  # How often the mask is shown in the even colour of a material.
  textureless: float = _number(0, 1)
  material: str
  material_color: tuple[float, float, float] = _number(0, 1)  # linear RGB


@dataclasses.dataclass(frozen=True, kw_only=True)
class Render:
  """Softness of the renders."""

  sigma: float = _number(1e-10, 1)  # of silhouettes, (half image)^2
  gamma: float = _number(1e-10, 1)  # of what lies behind what


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
  """What else of the render the denoiser sees (patent [0110])."""

  # Strength of the normal map, 0 switches it off: of the ControlNets, or of
  # normals and coverage beside colour, where the model paints them.
  normal_percentage: float = _number(0, 10)
  mask: bool
  height: bool
  normals: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distill:
  """Score distillation; see `diffusion.distill`."""

  residual: str = settings_lib.choice(*distill.RESIDUALS)
  weight: str = settings_lib.choice(*distill.WEIGHTS)
  timesteps: str = settings_lib.choice(*distill.TIMESTEP_SCHEDULES)
  horizon: int = _number(1, 10**9)  # steps that the schedule is laid out for
  t_min: float = _number(0, 1)
  t_max: float = _number(0, 1)
  width: float = _number(0, 1)
  guidance_scale: float = _number(0)
  guidance_rescale: float = _number(0, 1)
  negative_prompt: str
  perp_neg: float = _number(0, 10)  # of the words of other views
  clip_x0: float = _number(0)  # 0 for no clipping
  # Whether a model that can be told the exact cameras is told, and whether it
  # sees all views of a step together.
  camera: bool
  together: bool
  # Of comparing the render with the decoded prediction, beside the latents.
  image_weight: float = _number(0)

  def __post_init__(self) -> None:
    """Refuse a range of timesteps that is upside down."""
    if self.t_min > self.t_max:
      raise ValueError(
        f'distill.t_min is {self.t_min}, above distill.t_max, {self.t_max}'
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
  """Rates of the parameters (0 freezes them), and how vertices may move."""

  vertex_rate: float = _number(0)  # head widths a step, before smoothing
  distance_rate: float = _number(0)  # the same, of an 'sdf'
  color_rate: float = _number(0)  # logits a step
  field_rate: float = _number(0)  # of the parameters of a 'hashgrid'
  final_rate: float = _number(0, 1)  # of the rates, at the schedule's horizon
  smoothing: float = _number(0, 1000)  # about its root in edges moves together
  pin_rim: bool  # whether the border stays where it is
  offset_bound: float = _number(0.001, 10)  # head widths


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regularizers:
  """Weights of the energies of a shape; 0 leaves an energy out."""

  laplacian: float = _number(0)
  normal_consistency: float = _number(0)
  edge_length: float = _number(0)
  symmetry: float = _number(0)
  foldover: float = _number(0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskSettings(trainer.Settings):
  """All that the making of a mask can be told.

  What `geometry` and `texture` may be is said by the tables
  `geometries.GEOMETRIES` and `appearances.APPEARANCES`, see `surface.check`.
  """

  prompt: str
  seed: int = settings_lib.seed()
  template: str  # 'plain', 'face', or a mesh file
  template_colors: bool  # whether to begin with those of a mesh file
  edge_length: float  # cm, of 'plain' and 'face'

  geometry: str
  sdf: Sdf
  texture: str
  texture_size: int = settings_lib.power_of_two()  # texels of a 'uv' image
  baked_size: int = _may_change(settings_lib.power_of_two())  # and a baked one

  diffusion: Diffusion
  shape_judge: ShapeJudge
  controlnet: ControlNet
  first_image: FirstImage
  views: Views
  render: Render
  condition: Condition
  distill: Distill
  optimizer: Optimizer
  regularizers: Regularizers

  # The run ends by the first of these that comes true.
  steps: int = _may_change(_number(1, 10**9))
  loss_threshold: float = _may_change(_number(0))  # of the smoothed loss
  seconds: float = _may_change(_number(0))  # of the loop; 0 for no limit
  # What to do with a run, rather than what it is.
  resume: bool = settings_lib.command()
  back: int = settings_lib.command(_number(0, 10**9))  # a checkpoint to export

  log_every: int = _may_change(_number(1, 10**9))
  checkpoint_every: int = _may_change(_number(1, 10**9))
  formats: tuple[str, ...] = _may_change(
    settings_lib.some_of(*(suffix.lstrip('.') for suffix in mesh_io.WRITABLE))
  )
  preview_size: int = _may_change(_number(16, 2048))  # pixels of a picture
  turntable_frames: int = _may_change(_number(1, 10_000))

  def __post_init__(self) -> None:
    """Refuse a mask of nothing."""
    if not self.prompt.strip():
      raise ValueError(
        'the prompt is empty; say what the mask should be, '
        'e.g. --config.prompt="a Bengal tiger"'
      )
