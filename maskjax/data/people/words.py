"""Words for people: attributes that hold, and captions."""

from maskjax.data.people import people

# What `attributes` tells, in order; 1 where it holds.
ATTRIBUTES = (
  'male', 'young', 'old', 'child', 'smiling', 'mouth open', 'eyes closed',
  'frowning', 'glasses', 'sunglasses', 'hat', 'earrings', 'beard', 'moustache',
  'stubble', 'bald', 'short hair', 'long hair', 'curly hair', 'fringe',
  'tied hair', 'black hair', 'brown hair', 'blond hair', 'red hair',
  'grey hair', 'lipstick', 'eye make-up', 'freckles', 'fair skin',
  'dark skin', 'blue eyes', 'brown eyes', 'green eyes', 'full face',
  'slim face',
)  # fmt: skip
_SHORT = ('short', 'buzz cut', 'side-parted', 'slicked back', 'curly')
_LONG = ('long', 'long with a fringe', 'shoulder-length', 'ponytail')


def attributes(params: people.PersonParams) -> dict[str, bool]:
  """Tell what is true of a person.

  Args:
    params: who.

  Returns:
    {word of `ATTRIBUTES`: whether it holds}.
  """
  p, cut, dressed = params, params.hair.cut, params.wear
  hairy = cut != 'bald'
  stubble = max(p.skin.beard, p.skin.moustache)
  blink = min(p.units.get(f'eyeBlink{s}', 0) for s in ('Left', 'Right'))
  told = {
    'male': p.male > 0.5,
    'young': 0.36 < p.age < 0.6,
    'old': p.age > 0.75,
    'child': p.age <= 0.36,
    'smiling': p.units.get('mouthSmileLeft', 0) > 0.25,
    'mouth open': p.units.get('jawOpen', 0) > 0.06,
    'eyes closed': blink > 0.7,
    'frowning': p.units.get('browDownLeft', 0) > 0.5,
    'glasses': bool(dressed.glasses),
    'sunglasses': dressed.glasses == 'sunglasses',
    'hat': bool(dressed.hat),
    'earrings': dressed.earrings > 0,
    'beard': p.skin.beard > 0.5,
    'moustache': p.skin.moustache > 0.5,
    'stubble': 0.05 < stubble <= 0.5,
    'bald': not hairy,
    'short hair': cut in _SHORT,
    'long hair': cut in _LONG,
    'curly hair': cut in ('curly', 'afro'),
    'fringe': cut == 'long with a fringe',
    'tied hair': cut in ('bun', 'ponytail'),
    'black hair': hairy and p.hair_color == 'black',
    'brown hair': hairy
    and p.hair_color in ('dark brown', 'brown', 'light brown'),
    'blond hair': hairy and p.hair_color == 'blond',
    'red hair': hairy and p.hair_color == 'red',
    'grey hair': hairy and p.hair_color in ('grey', 'white'),
    'lipstick': p.skin.lipstick > 0.3,
    'eye make-up': max(p.skin.eyeshadow, p.skin.liner) > 0.4,
    'freckles': p.skin.freckles > 0.2,
    'fair skin': p.skin.tone < 0.25,
    'dark skin': p.skin.tone > 0.62,
    'blue eyes': p.eye_color in ('blue', 'grey'),
    'brown eyes': p.eye_color in ('brown', 'dark', 'hazel'),
    'green eyes': p.eye_color == 'green',
    'full face': p.weight > 0.68,
    'slim face': p.weight < 0.32,
  }
  return {name: bool(told[name]) for name in ATTRIBUTES}


def describe(params: people.PersonParams) -> str:
  """Return words for a person, e.g. 'a smiling old man with a grey beard'."""
  told = attributes(params)
  noun = 'man' if told['male'] else 'woman'
  if told['child']:
    noun = 'boy' if told['male'] else 'girl'
  age = 'old ' if told['old'] else 'young ' if told['young'] else ''
  words = f'{age}{noun}'
  if params.expression in (
    'smiling',
    'laughing',
    'surprised',
    'sad',
    'angry',
    'talking',
  ):
    words = f'{params.expression} {words}'
  elif params.expression == 'smiling with teeth':
    words = f'smiling {words}'
  article = 'an' if words[0] in 'aeiou' else 'a'
  cut = params.hair.cut
  if cut == 'bald':
    parts = ['a bald head']
  elif cut in ('bun', 'ponytail', 'bob', 'afro', 'buzz cut'):
    parts = [f'a {params.hair_color} {cut}']
  elif cut == 'long with a fringe':
    parts = [f'long {params.hair_color} hair and a fringe']
  else:
    parts = [f'{cut} {params.hair_color} hair']
  if told['beard']:
    parts.append('a beard')
  elif told['moustache']:
    parts.append('a moustache')
  elif told['stubble']:
    parts.append('stubble')
  if told['freckles']:
    parts.append('freckles')
  if params.wear.glasses:
    parts.append(
      'sunglasses' if told['sunglasses'] else f'{params.wear.glasses} glasses'
    )
  if params.wear.hat:
    parts.append(f'a {params.wear.hat}')
  if told['earrings']:
    parts.append('earrings')
  if told['lipstick']:
    parts.append('lipstick')
  last = parts.pop()
  listed = f'{", ".join(parts)} and {last}' if parts else last
  return f'{article} {words} with {listed}'
