"""Data sets: what their files have in common."""
