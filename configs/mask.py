r"""A 3D mask from words.

  python -m experiments.generate_mask --config=configs/mask.py \
    --config.prompt="a Bengal tiger" --workdir=out/tiger
  python -m experiments.generate_mask --config=configs/mask.py \
    --config.prompt="a Bengal tiger" --workdir=out/tiger \
    --config.steps=400 --config.resume=true

At full size, with Stable Diffusion and a ControlNet that you have:

  python -m experiments.generate_mask --config=configs/mask.py:sd15 \
    --config.prompt="a Bengal tiger" --workdir=out/tiger \
    --config.diffusion.path=/models/sd15 \
    --config.controlnet.path=/models/controlnet-normal

`configs/mask.py:tiny` is a run of seconds, for tests.
"""

import ml_collections


def get_config(mode: str = 'default') -> ml_collections.ConfigDict:
  """Return the config of a mode.

  Args:
    mode: 'default', the bundled prior; 'sd15', the latents of Stable
      Diffusion; 'tiny', seconds, for tests.
  """
  if mode not in ('default', 'sd15', 'tiny'):
    raise ValueError(f'mode {mode!r} is not one of default, sd15, tiny')
  config = ml_collections.ConfigDict()
  config.prompt = 'a Bengal tiger'
  config.seed = 0
  # Start shape: 'plain', 'face' (eye and mouth holes), or a mesh file.
  config.template = 'plain'
  # Whether to begin with the colours of a mesh file that has some; without, it
  # is painted with the first image.
  config.template_colors = True
  config.edge_length = 0.6  # cm; 0.6 gives about 3,000 vertices

  # What is trained: 'vertices' of the start shape, or 'sdf', a signed distance
  # on a grid, of which marching tetrahedra make a mesh.
  config.geometry = 'vertices'
  config.sdf = ml_collections.ConfigDict()
  config.sdf.cell = 1.0  # cm between grid points; 1 gives about 10,000 faces
  config.sdf.margin = 9.0  # cm around the start shape, to grow into
  config.sdf.headroom = 2.5  # faces that there is room for, times the start's
  config.sdf.passes = 4  # of smoothing
  # Its colours: of each 'vertex', a 'uv' image, or a field of space
  # ('hashgrid'), baked to an image at the end.
  config.texture = 'vertex'
  config.texture_size = 256  # texels on a side of a 'uv' image
  config.baked_size = 1024  # and of a baked one

  # The judge. An empty path is the bundled prior; else a folder in the layout
  # of diffusers, or the id of one on the Hugging Face Hub.
  config.diffusion = ml_collections.ConfigDict()
  config.diffusion.path = ''
  config.diffusion.dtype = 'float32'  # 'bfloat16' on GPU and TPU; 'auto'
  config.diffusion.variant = ''  # of the weights' files, e.g. 'fp16'
  config.diffusion.remat = False  # less memory, a longer backward pass
  # A second model, of pictures of normals (a folder or id; empty: none). It
  # judges the shape, and the first one the colours alone.
  config.shape_judge = ml_collections.ConfigDict()
  config.shape_judge.path = ''
  config.shape_judge.weight = 1.0
  config.shape_judge.suffix = 'normal map'  # follows the prompt
  # ControlNets in place of the model's own: folders, separated by commas.
  config.controlnet = ml_collections.ConfigDict()
  config.controlnet.path = ''
  # What each is shown: 'stack' (mask, height, normals: five channels),
  # 'normals', 'height', 'mask' (pictures in [0, 1]); empty: by its channels.
  config.controlnet.shows = ''
  config.controlnet.scales = (1.0,)  # of all, or one for each

  config.first_image = ml_collections.ConfigDict()
  config.first_image.steps = 20
  config.first_image.sampler = 'ddim'
  config.first_image.guidance_scale = 1.0
  config.first_image.guidance_rescale = 0.0
  config.first_image.mask_scale = 0.25  # strength of the 2D mask, 0 for none
  # How strongly the colours, seen from the front, are held to the first image.
  config.first_image.likeness = 0.05
  # And the shape to its normals and its outline, where the model paints them.
  config.first_image.shape_likeness = 0.3
  # And whether a model that sees views together sees it beside them, unnoised.
  config.first_image.seen = True

  # Views of a step. Angles in degrees; azimuth to the viewer's right.
  config.views = ml_collections.ConfigDict()
  config.views.count = 4
  config.views.azimuth = (-75.0, 75.0)
  config.views.elevation = (-25.0, 35.0)
  config.views.fovy = (30.0, 30.0)
  config.views.distance = (0.96, 1.08)  # 1 shows 40 cm around the face
  config.views.uniform_light = 0.6  # how often light is white and even
  config.views.light_colors = ('white', 'warm')
  config.views.light_jitter = 0.15
  config.views.prompt_form = 'words'  # 'numbers', 'plain'
  # How often the mask is shown in the even colour of a material, which goes
  # into the words: what shades it then is its shape alone.
  config.views.textureless = 0.0
  config.views.material = 'stone'
  config.views.material_color = (0.27, 0.27, 0.26)  # linear RGB

  config.render = ml_collections.ConfigDict()
  config.render.sigma = 3e-5  # softness of silhouettes, (half image)^2
  config.render.gamma = 1e-4

  # What else of the render the denoiser sees (patent [0110]).
  config.condition = ml_collections.ConfigDict()
  # Strength of the normal map, 0 switches it off: of the ControlNets, or of
  # normals and coverage beside colour, where the model paints them.
  config.condition.normal_percentage = 1.0
  config.condition.mask = False  # a shown silhouette is a kept silhouette
  config.condition.height = True
  config.condition.normals = True

  config.distill = ml_collections.ConfigDict()
  config.distill.residual = 'noised_image'  # 'noise'
  config.distill.weight = 'sqrt_alpha'  # 'sigma2', 'uniform', 'min_snr'
  config.distill.timesteps = 'anneal'  # 'uniform', 'increase'
  config.distill.horizon = 300  # steps that the schedule is laid out for
  config.distill.t_min = 0.1
  config.distill.t_max = 0.98
  config.distill.width = 0.5
  config.distill.guidance_scale = 8.0
  config.distill.guidance_rescale = 0.5
  config.distill.negative_prompt = ''
  config.distill.perp_neg = 0.0  # of the words of other views, against Janus
  config.distill.clip_x0 = 1.0  # 0 for no clipping
  # Where the model can be told the exact cameras (the bundled one can): whether
  # it is, and whether it sees all views of a step together.
  config.distill.camera = True
  config.distill.together = True
  # Of comparing the render with the decoded prediction, beside the latents.
  config.distill.image_weight = 0.0

  config.optimizer = ml_collections.ConfigDict()
  config.optimizer.vertex_rate = 2e-2  # head widths a step, before smoothing
  config.optimizer.distance_rate = 6e-2  # the same, of an 'sdf'
  config.optimizer.color_rate = 3e-2  # logits a step
  config.optimizer.field_rate = 3e-3  # of the parameters of a 'hashgrid'
  config.optimizer.final_rate = 0.1  # of the rates, at the schedule's horizon
  config.optimizer.smoothing = 5.0  # about its root in edges moves together
  config.optimizer.pin_rim = True
  config.optimizer.offset_bound = 0.8  # head widths

  config.regularizers = ml_collections.ConfigDict()
  config.regularizers.laplacian = 0.1
  config.regularizers.normal_consistency = 0.02
  config.regularizers.edge_length = 0.01
  config.regularizers.symmetry = 0.1
  config.regularizers.foldover = 1.0

  # The run ends by the first of these that comes true.
  config.steps = 300
  config.loss_threshold = 0.0  # of the smoothed loss; 0 for none
  config.seconds = 0.0  # wall clock of the loop; 0 for no limit
  # More training, and back.
  config.resume = False
  config.back = 0  # export this earlier checkpoint instead of training

  config.log_every = 10
  config.checkpoint_every = 50
  config.formats = ('glb',)  # 'glb', 'obj', 'ply'
  config.preview_size = 256  # pixels of a picture in preview.png
  config.turntable_frames = 72

  if mode == 'sd15':
    # Where the literature starts from; weights differ, so expect to tune.
    config.edge_length = 0.4
    config.diffusion.dtype = 'auto'
    config.diffusion.remat = True
    config.first_image.steps = 30
    config.first_image.sampler = 'dpmpp_2m'
    config.first_image.guidance_scale = 7.5
    config.first_image.guidance_rescale = 0.0
    config.first_image.mask_scale = 1.0
    config.views.textureless = 0.25
    config.condition.normal_percentage = 0.8
    config.distill.residual = 'noise'
    config.distill.width = 0.25
    config.distill.weight = 'sigma2'
    config.distill.timesteps = 'anneal'
    config.distill.t_min = 0.02
    config.distill.t_max = 0.98
    config.distill.horizon = 1000
    config.distill.guidance_scale = 50.0
    config.distill.negative_prompt = 'shadow, oversaturated, low quality'
    config.distill.clip_x0 = 0.0  # latents are not bounded by 1
    config.steps = 1000

  if mode == 'tiny':
    config.edge_length = 1.2
    config.first_image.steps = 2
    config.views.count = 2
    config.steps = 3
    config.distill.horizon = 3
    config.log_every = 1
    config.checkpoint_every = 1
    config.preview_size = 48
    config.turntable_frames = 4
  return config


def sweep(add) -> None:
  """Return the ablation: residual x timestep schedule x normals, then parts.

  What the loop is told beside the words is taken away from the last rows one
  by one: the exact camera, the other views, the first image.
  """
  for residual in ('noise', 'noised_image'):
    for timesteps in ('uniform', 'anneal', 'increase'):
      for percentage in (0.0, 1.0):
        add(
          **{
            'distill.residual': residual,
            'distill.timesteps': timesteps,
            'condition.normal_percentage': percentage,
          }
        )
  add(**{'distill.camera': False})
  add(**{'distill.together': False})
  add(**{'first_image.seen': False})
  add(**{'first_image.shape_likeness': 0.0})
  add(**{'first_image.seen': False, 'first_image.shape_likeness': 0.0})
