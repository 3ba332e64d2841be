"""Measures of faces and of generated pictures."""
