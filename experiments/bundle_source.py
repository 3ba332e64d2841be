r"""Pack a trained source domain: weights in half precision and a model card.

  python -m experiments.bundle_source --runs=out/source \
    --data=out/source_faces --results=out/evaluate_source/results.json \
    --out=maskjax/assets/source

--runs are the work folders in the order of training (out/source,
out/source_gan); the networks of the last one are taken. --others names other
routes that the card compares: the file of their measures and their runs, such
as out/evaluate_b/results.json=out/b+out/b_gan.
"""

from absl import flags

from maskjax.people_gan import card as people_card
from maskjax.training import flags as flags_lib

_RUNS = flags.DEFINE_list('runs', None, 'Work folders.', required=True)
_DATA = flags.DEFINE_string('data', 'out/source_faces', 'Of make_faces.')
_RESULTS = flags.DEFINE_string(
  'results', None, 'results.json of evaluate_source.', required=True
)
_OTHERS = flags.DEFINE_list('others', [], 'RESULTS=RUN[+RUN], ...')
_NETWORKS = flags.DEFINE_list('networks', [], 'Of the last run; empty: all.')
_NOTE = flags.DEFINE_string('note', '', 'For the card, on the training.')
_OUT = flags_lib.define_folder('out', 'maskjax/assets/source', 'Where to.')


def main(argv: list[str]) -> None:
  """Pack."""
  del argv
  people_card.bundle(
    _OUT.value,
    _RUNS.value,
    _DATA.value,
    _RESULTS.value,
    _OTHERS.value,
    _NETWORKS.value,
    _NOTE.value,
  )
  print(_OUT.value)


if __name__ == '__main__':
  flags_lib.run(main)
