"""Tests of strict settings: what is read, and what is refused in one line."""

import dataclasses

import ml_collections
import pytest

from maskjax.training import settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Views:
  count: int = settings.number(1, 64)
  fovy: tuple[float, float] = settings.span(5.0, 120.0)
  form: str = settings.choice('words', 'numbers')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
  prompt: str = settings.text()
  rate: float = settings.number(0)
  resume: bool
  side: int = settings.power_of_two()
  formats: tuple[str, ...] = settings.some_of('glb', 'obj')
  limit: float | None
  views: Views


def config(**values):
  views = {'count': 4, 'fovy': (30, 30.5), 'form': 'words'}
  fields = {
    'prompt': 'a tiger',
    'rate': 1,
    'resume': False,
    'side': 256,
    'formats': ('glb',),
    'limit': None,
    'views': views,
  }
  return {**fields, **values}


@pytest.mark.parametrize('kind', [dict, ml_collections.ConfigDict])
def test_fills_nested_settings_in_the_types_of_their_fields(kind):
  job = settings.read(Job, kind(config()))
  assert job.views == Views(count=4, fovy=(30.0, 30.5), form='words')
  assert type(job.rate) is float and type(job.views.fovy[0]) is float
  assert job.limit is None and job.formats == ('glb',)


def test_lists_are_tuples_and_an_optional_number_is_one():
  job = settings.read(Job, config(formats=['obj', 'glb'], limit=2))
  assert job.formats == ('obj', 'glb')
  assert job.limit == 2.0


@pytest.mark.parametrize(
  'values, message',
  [
    ({'promt': 'x'}, "unknown field 'promt'; did you mean 'prompt'"),
    ({'zzz': 1}, "unknown field 'zzz'; there are prompt, rate"),
    ({'prompt': '  '}, 'prompt is .* give some words'),
    ({'rate': -1.0}, r'rate is -1.0; expected >= 0'),
    ({'rate': float('nan')}, 'rate is nan; expected >= 0'),
    ({'rate': '1'}, "rate is '1'; expected float"),
    ({'rate': True}, 'rate is True; expected float'),
    ({'resume': 1}, 'resume is 1; expected bool'),
    ({'side': 100}, 'side is 100; give a power of two'),
    ({'side': 2.0}, 'side is 2.0; expected int'),
    ({'formats': ()}, 'formats is .* give one or more of glb, obj'),
    ({'formats': ('stl',)}, 'formats is .* give one or more of glb, obj'),
    ({'formats': 'glb'}, "formats is 'glb'; expected"),
    ({'limit': 'x'}, "limit is 'x'; expected"),
    ({'views': 3}, 'views is 3; expected a group of fields'),
  ],
)
def test_what_does_not_fit_is_named_in_one_line(values, message):
  with pytest.raises(ValueError, match=message) as caught:
    settings.read(Job, config(**values))
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'values, message',
  [
    ({'count': 65}, r'views\.count is 65; expected 1 to 64'),
    ({'fovy': (40.0, 30.0)}, r'views\.fovy is .* give \(low, high\)'),
    ({'fovy': (1.0, 30.0)}, r'views\.fovy is .* expected 5 to 120'),
    ({'fovy': (30.0,)}, r'views\.fovy is .* give 2 values'),
    ({'form': 'poems'}, r"views\.form is 'poems'; not one of words, numbers"),
    ({'cout': 1}, r"unknown field 'views\.cout'; did you mean 'views\.count'"),
  ],
)
def test_a_field_of_a_group_is_named_by_its_path(values, message):
  views = {**config()['views'], **values}
  with pytest.raises(ValueError, match=message):
    settings.read(Job, config(views=views))


def test_a_missing_field_is_named():
  fields = config()
  del fields['side']
  with pytest.raises(ValueError, match="the field 'side' is missing"):
    settings.read(Job, fields)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
  steps: int = settings.may_change(settings.number(1, 9))
  resume: bool = settings.command()
  views: Views


def test_fields_say_what_a_resumed_run_may_change():
  assert list(settings.fields(Run)) == [
    'steps',
    'resume',
    'views.count',
    'views.fovy',
    'views.form',
  ]
  assert settings.changeable(Run) == ('steps',)
  assert settings.commands(Run) == ('resume',)
  found = settings.fields(Run)
  assert found['steps'].metadata[settings.LIMITS] == (1, 9)
  assert found['views.fovy'].metadata[settings.LIMITS] == (5.0, 120.0)


def test_changed_settings_are_checked_anew():
  views = {'count': 4, 'fovy': (30, 30.5), 'form': 'words'}
  run = settings.read(Run, {'steps': 3, 'resume': False, 'views': views})
  more = settings.changed(run, {'steps': 4, 'views.form': 'numbers'})
  assert (more.steps, more.views.form, more.views.count) == (4, 'numbers', 4)
  assert run.steps == 3 and run.views.form == 'words'
  with pytest.raises(ValueError, match='steps is 10; expected 1 to 9'):
    settings.changed(run, {'steps': 10})
  with pytest.raises(ValueError, match=r"unknown field 'views\.cuont'"):
    settings.changed(run, {'views.cuont': 4})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
  count: int = settings.number(1, default=4)
  limit: float | None = settings.number(0, default=None)
  form: str = settings.choice('words', 'numbers', default='words')
  formats: tuple[str, ...] = settings.some_of('glb', 'obj', default=('glb',))
  steps: int = settings.may_change(settings.number(1, 9, default=3))

  def __post_init__(self):
    settings.check_limits(self)


def test_fields_may_have_a_default_and_are_checked_without_a_config():
  request = Request(count=2)
  assert request == settings.read(Request, {'count': 2})
  assert (request.limit, request.form, request.formats) == (
    None, 'words', ('glb',)
  )  # fmt: skip
  assert request.steps == 3 and settings.changeable(Request) == ('steps',)
  with pytest.raises(ValueError, match='count is 0; expected >= 1'):
    Request(count=0)
  with pytest.raises(ValueError, match='limit is -1; expected >= 0'):
    dataclasses.replace(request, limit=-1)
  with pytest.raises(ValueError, match="form is 'x'; not one of words"):
    Request(form='x')
