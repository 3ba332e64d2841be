"""Breeds: other usual palettes of a kind, drawn beside its mean one.

Each entry replaces some roles of the kind's palette (sRGB). A word of colour
in the caption overrides them.
"""

from collections.abc import Mapping

_SKINS = ('#f6c29a', '#ffd9bd', '#d99a6c', '#a8693f', '#6f4226')
_HAIRS = ('#6a3a1c', '#26190f', '#e0b04a', '#c2501c', '#17161a')
_CARTOONS = tuple(
  {'base': skin, 'light': skin, 'hair': hair}
  for skin in _SKINS
  for hair in _HAIRS
)

BREEDS: Mapping[str, tuple[Mapping[str, str], ...]] = {
  'cartoon character': _CARTOONS,
  'pirate': (
    {'hair': '#17161a', 'mark': '#1f4fa8'},
    {'hair': '#b5481c', 'mark': '#1d1c22'},
    {'base': '#8a5634', 'hair': '#17120e'},
  ),
  'cat': (
    {'base': '#e58a34', 'mark': '#b3581a', 'light': '#fff0dc'},
    {'base': '#2c2b30', 'mark': '#17161a', 'iris': '#e8c21a'},
    {'base': '#f3efe8', 'mark': '#d9b48a', 'iris': '#3f8fd8'},
    {'base': '#8a6a4a', 'mark': '#3f2c1c'},
  ),
  'dog': (
    {'base': '#e2b878', 'mark': '#b9803f', 'light': '#fff6e6'},
    {'base': '#33302f', 'mark': '#1a1817', 'light': '#c98a4a'},
    {'base': '#f4efe6', 'mark': '#4a3426', 'light': '#ffffff'},
    {'base': '#8d8f98', 'mark': '#4f525c', 'light': '#f2f2f2'},
  ),
  'rabbit': (
    {'base': '#f4f1ec', 'mark': '#cfc6bc'},
    {'base': '#8f8a88', 'mark': '#5f5a58'},
    {'base': '#7a5030', 'mark': '#4f321c'},
  ),
  'horse': (
    {'base': '#c98a4a', 'hair': '#f3e3bd', 'mark': '#8a5a2c'},
    {'base': '#2c2522', 'hair': '#14110f'},
    {'base': '#a9a6a2', 'hair': '#e9e6e0', 'mark': '#55524f'},
  ),
  'mouse': (
    {'base': '#f2eff0', 'mark': '#cfc9cc', 'iris': '#a82030'},
    {'base': '#8a6a4e', 'mark': '#5a4330'},
  ),
  'sheep': ({'base': '#e9c9b0', 'mark': '#c99a80'},),
  'cow': ({'base': '#9a5a2c', 'mark': '#6a3818', 'light': '#e5b9a0'},),
  'bear': (
    {'base': '#332722', 'light': '#a8754a', 'mark': '#1c1512'},
    {'base': '#f3f0e8', 'light': '#fffdf8', 'mark': '#b9b2a4'},
  ),
  'dragon': (
    {'base': '#c23a22', 'mark': '#6a1612', 'light': '#f0c070'},
    {'base': '#2f62b8', 'mark': '#16306a', 'light': '#bcd8ea'},
    {'base': '#6a3fa0', 'mark': '#351c5c', 'light': '#d9b8e6'},
  ),
  'robot': (
    {'base': '#e3a92c', 'light': '#f2e3b8', 'hair': '#2b3440'},
    {'base': '#3f8fb8', 'light': '#d3e6ee', 'iris': '#ffcf3a'},
    {'base': '#d9dde2', 'light': '#9aa7b5', 'iris': '#ff5a3a'},
  ),
  'parrot': (
    {'base': '#2fa03c', 'mark': '#e8c21a', 'hair': '#d9261c'},
    {'base': '#2466c8', 'mark': '#f2b81e', 'hair': '#3fb0e8'},
  ),
  'clown': (
    {'hair': '#2f9a3c', 'accent': '#d8a018'},
    {'hair': '#2a6fd6', 'accent': '#d81e26'},
    {'hair': '#f2a81c', 'accent': '#2f9a3c'},
  ),
  'alien': (
    {'base': '#8f9aa3', 'light': '#c3cad0', 'mark': '#5c666f'},
    {'base': '#6f6fc8', 'light': '#b0b0ee', 'mark': '#45459a'},
  ),
  'owl': ({'base': '#c9c4bb', 'light': '#fbfaf6', 'mark': '#6a6258'},),
  'frog': ({'base': '#8a9a2c', 'mark': '#4a5a14'},),
  'wolf': ({'base': '#e4e3df', 'mark': '#a3a6ac', 'light': '#ffffff'},),
  'monkey': ({'base': '#2f2622', 'hair': '#1c1613', 'light': '#d9a27c'},),
  'unicorn': ({'hair': '#3fb0d8', 'accent': '#f2a0c8', 'mark': '#8fc3e0'},),
}  # fmt: skip
