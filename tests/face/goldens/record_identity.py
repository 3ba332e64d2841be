"""Record dlib's own embedding of the astronaut.

    python -m venv peer && peer/bin/pip install dlib-bin==20.0.1.post1 \\
      scikit-image && peer/bin/pip download --no-deps --no-build-isolation \\
      face-recognition-models==0.3.0   # 100 MB; unpack it
    peer/bin/python tests/face/goldens/record_identity.py MODELS

MODELS is the folder with dlib's .dat files. Writes identity.npz beside this
file: dlib's detector, its five landmarks, its chip and its network at full
precision, none of which maskjax uses.
"""

import pathlib
import sys

import numpy as np
from skimage import data

OUTPUT = pathlib.Path(__file__).parent / 'identity.npz'


def main():
  """Record it, and its mirror image's."""
  import dlib

  models = pathlib.Path(sys.argv[1])
  detector = dlib.get_frontal_face_detector()
  predictor = dlib.shape_predictor(
    str(models / 'shape_predictor_5_face_landmarks.dat')
  )
  network = dlib.face_recognition_model_v1(
    str(models / 'dlib_face_recognition_resnet_model_v1.dat')
  )
  rows = []
  photo = data.astronaut()
  for image in (photo, np.ascontiguousarray(photo[:, ::-1])):
    shape = predictor(image, detector(image, 1)[0])
    rows.append(np.array(network.compute_face_descriptor(image, shape)))
  np.savez_compressed(OUTPUT, embeddings=np.array(rows, np.float32))
  print('mirrored', np.linalg.norm(rows[0] - rows[1]))


if __name__ == '__main__':
  main()
