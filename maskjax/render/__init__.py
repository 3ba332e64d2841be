"""A mesh to a picture: light, textures, baking."""
