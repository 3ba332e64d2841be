"""Record what MediaPipe finds in pictures made from the astronaut's photo.

    python -m venv peer && peer/bin/pip install mediapipe==0.10.21 scikit-image
    peer/bin/python tests/face/goldens/record.py

Writes mediapipe.npz beside this file: for each picture of `pictures`, its
detections (score, box, six points), landmarks and person mask, all in
fractions of the picture. Runs apart from maskjax, which wants a newer NumPy.
"""

import pathlib

import numpy as np
from skimage import data

OUTPUT = pathlib.Path(__file__).parent / 'mediapipe.npz'


def pictures():
  """Return {name: u1[h, w, 3]}, built without any resampling."""
  photo = data.astronaut()
  twin = photo[:, 60:400]
  return {
    'astronaut': photo,
    # A face of 320 pixels.
    'large': photo[10:230, 120:340].repeat(3, 0).repeat(3, 1),
    'two': np.concatenate([twin, twin[:, ::-1]], 1),
  }


def detect(solutions, image):
  """Return f[k, 17]: score, left, top, width, height, six points."""
  with solutions.face_detection.FaceDetection(
    model_selection=0, min_detection_confidence=0.5
  ) as detector:
    rows = []
    for face in detector.process(image).detections or []:
      place = face.location_data
      box = place.relative_bounding_box
      row = [face.score[0], box.xmin, box.ymin, box.width, box.height]
      rows.append(
        row + [n for p in place.relative_keypoints for n in (p.x, p.y)]
      )
  return np.array(rows, np.float32)


def find(solutions, image):
  """Return f[k, 468, 3]."""
  with solutions.face_mesh.FaceMesh(
    static_image_mode=True, max_num_faces=2, refine_landmarks=False
  ) as mesh:
    faces = mesh.process(image).multi_face_landmarks or []
  points = [[(p.x, p.y, p.z) for p in face.landmark] for face in faces]
  return np.array(points, np.float32)


def segment(solutions, image):
  """Return f[h / 4, w / 4], every fourth pixel of the mask."""
  with solutions.selfie_segmentation.SelfieSegmentation(
    model_selection=0
  ) as segmenter:
    mask = segmenter.process(image).segmentation_mask
  return mask[::4, ::4].astype(np.float16)


def main():
  """Record all pictures."""
  import mediapipe

  solutions = mediapipe.solutions
  arrays = {}
  for name, image in pictures().items():
    image = np.ascontiguousarray(image)
    arrays[f'{name}_faces'] = detect(solutions, image)
    arrays[f'{name}_points'] = find(solutions, image)
    arrays[f'{name}_mask'] = segment(solutions, image)
  np.savez_compressed(OUTPUT, **arrays)
  for name, array in arrays.items():
    print(name, array.shape)


if __name__ == '__main__':
  main()
