"""maskjax: 3D masks from words and 3D avatars from photos, in JAX."""

__version__ = '0.1.0'
