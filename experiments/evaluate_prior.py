r"""Judge samples of a prior by the matcher.

  python -m experiments.evaluate_prior --workdir=out/prior_proof \
    [--prior=out/prior/model] [--matcher=out/matcher/matcher] \
    [--real=out/matcher_heads]

Leaves report.json, samples.csv and contact-*.png (real beside generated) in
the workdir. Without --prior and --matcher the bundled ones are taken.
"""

from absl import flags

from maskjax.diffusion import sampling
from maskjax.prior import evaluation as prior_evaluation
from maskjax.training import flags as flags_lib

_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the results.')
_PRIOR = flags.DEFINE_string('prior', '', 'Model folder.')
_MATCHER = flags.DEFINE_string('matcher', '', 'Folder of the matcher.')
_REAL = flags.DEFINE_string('real', '', 'Folder of head pictures to show.')
_SAMPLES = flags.DEFINE_integer('samples', 400, 'Pictures to sample.', 1, 10**6)
_STEPS = flags.DEFINE_integer('steps', 20, 'Steps of the sampler.', 1, 1000)
_SAMPLER = flags.DEFINE_enum('sampler', 'ddim', sampling.METHODS, 'Sampler.')
_GUIDANCE = flags_lib.define_float(
  'guidance', 1.0, 'Classifier-free guidance.', 0, 1000
)
_RESCALE = flags_lib.define_float('rescale', 0.0, 'Guidance rescale.', 0, 1)
_BATCH = flags.DEFINE_integer('batch', 16, 'Pictures at a time.', 1, 4096)
_SEED = flags_lib.define_seed('Seed of words and noise.')


def main(argv: list[str]) -> None:
  """Sample, judge, print the table."""
  del argv
  report = prior_evaluation.run(
    _WORKDIR.value,
    prior=_PRIOR.value,
    matcher=_MATCHER.value,
    real=_REAL.value,
    count=_SAMPLES.value,
    seed=_SEED.value,
    steps=_STEPS.value,
    sampler=_SAMPLER.value,
    guidance=_GUIDANCE.value,
    rescale=_RESCALE.value,
    batch_size=_BATCH.value,
  )
  print(prior_evaluation.table(report))


if __name__ == '__main__':
  flags_lib.run(main)
