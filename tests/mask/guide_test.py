"""What guides a mask: models that fit, and the prompt in words of views."""

import numpy as np
import pytest

from maskjax.mask import guide as guide_lib, views
from tests.mask import small


@pytest.mark.parametrize(
  'fields, words',
  [
    ({'controlnet.shows': 'normals'}, 'takes 5'),
    ({'controlnet.scales': (1.0, 0.5)}, '2 numbers for 1 ControlNets'),
    ({'controlnet.path': 'nowhere'}, 'no such folder'),
    ({'diffusion.dtype': 'half'}, "dtype 'half'"),
  ],
)
def test_controlnets_that_do_not_fit_get_one_clear_line(
  model_folder, fields, words
):
  settings = small.settings(**{'diffusion.path': str(model_folder), **fields})
  with pytest.raises(ValueError, match=words) as error:
    guide_lib.load_model(settings)
  assert '\n' not in str(error.value)


def test_words_that_the_model_has_not_seen_are_told_in_one_line(
  model_folder, caplog
):
  path = {'diffusion.path': str(model_folder)}
  model = guide_lib.load_model(small.settings(**path))
  for prompt, unknown in (('a tiger mask', 0), ('a giraffe view', 1)):
    caplog.clear()
    guide_lib.create(model, small.settings(prompt=prompt, **path))
    lines = [m for m in caplog.messages if 'never seen' in m]
    assert len(lines) == unknown
  assert "'giraffe'" in lines[0] and '\n' not in lines[0]


def test_every_text_is_encoded_and_the_negative_one_apart(model_folder):
  settings = small.settings(
    **{
      'diffusion.path': str(model_folder),
      'distill.negative_prompt': 'a blurred picture',
    }
  )
  model = guide_lib.load_model(settings)
  guide, texts = guide_lib.create(model, settings)
  assert guide.first is None
  assert guide.texts.shape == (len(texts), *guide.negative.shape)
  front = views.front_text()
  alone = views.encode_texts(model, [texts[front], 'a blurred picture'])
  # A network in float32 on another batch; 4 has a spacing of 4.8e-7.
  np.testing.assert_allclose(guide.texts[front], alone[0], atol=1e-5)
  np.testing.assert_allclose(guide.negative, alone[1], atol=1e-5)
  assert (guide.negative != guide.texts[front]).any()
