import io

from maskjax.training import progress


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def test_bar_on_a_terminal():
  file = _Terminal()
  with progress.bar(10, start=4, file=file, name='mask') as report:
    report(5, {'loss': 0.123456, 'other': 1.0})
    report(10, {'loss': 0.5})
  last = file.getvalue().split('\r')[-1]
  assert 'mask: 10/10' in last
  assert 's/step' in last and 'loss 0.5' in last
  assert 'other' not in file.getvalue()


def test_lines_in_a_log():
  file = io.StringIO()
  with progress.bar(100, file=file, interval=1000.0) as report:
    for step in range(1, 101):
      report(step, {'loss': 2.0})
  lines = file.getvalue().splitlines()
  # The first report and the last one, nothing in between.
  assert len(lines) == 2
  assert lines[0].startswith('training: step 1/100, ')
  assert ' left, loss 2' in lines[0]
  assert lines[1].startswith('training: step 100/100')


def test_unknown_total():
  for file in (io.StringIO(), _Terminal()):
    with progress.bar(None, file=file, interval=0.0) as report:
      report(1, {})
    assert '1' in file.getvalue()
    assert 'None' not in file.getvalue()


def test_a_line_for_what_is_not_counted(capsys):
  progress.say('mask: painting')
  assert capsys.readouterr() == ('', 'mask: painting\n')
  file = io.StringIO()
  progress.say('more', file=file)
  assert file.getvalue() == 'more\n'
