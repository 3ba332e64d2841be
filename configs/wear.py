r"""A mask on the faces of a video or a photo.

  python -m experiments.wear_mask --mask=out/tiger/mask.glb --video=me.mp4 \
    --workdir=out/worn
  python -m experiments.wear_mask --mask=out/tiger/mask.glb --image=me.jpg \
    --workdir=out/worn
  python -m experiments.wear_mask --mask=out/tiger/mask.glb --image=dog.jpg \
    --config.place.box="(120.,80.,420.,400.)" --workdir=out/dog
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Return the config."""
  config = ml_collections.ConfigDict()

  config.track = ml_collections.ConfigDict()
  config.track.faces = 1  # followed at most
  config.track.fovy = 0.0  # degrees, vertical; 0: estimated
  # 0 leaves the motion as it is found; 1 averages a head that is still over a
  # second. A head that moves is not slowed down by it.
  config.track.steadiness = 0.5
  config.track.hold = 0.2  # seconds that a lost face is waited for
  config.track.fade = 0.15  # seconds in which a mask comes and goes

  config.mask = ml_collections.ConfigDict()
  config.mask.scale = 1.0
  config.mask.shift = (0.0, 0.0, 0.0)  # cm: right, up, front
  config.mask.fitted = True  # to the person's head
  config.mask.expression = 1.0  # how strongly it follows the face
  config.mask.occluded = True  # the head hides what is behind it
  config.mask.opacity = 1.0

  config.light = ml_collections.ConfigDict()
  config.light.estimated = True  # on the face; False: even and white
  config.light.tint = 0.4  # how much of the light's colour to keep
  config.light.matched = True  # the mask gets the picture's blur and noise

  # For an image without a human face: where its head is, and how it is turned.
  config.place = ml_collections.ConfigDict()
  config.place.box = ()  # left, top, right, bottom, pixels
  config.place.pose = (0.0, 0.0, 0.0)  # yaw, pitch, roll, degrees

  config.output = ml_collections.ConfigDict()
  config.output.mask_only = True  # mask_only.webm
  config.output.motion = True  # motion.glb
  config.output.quality = 18  # of H.264: 0 is lossless, 18 looks so
  return config
