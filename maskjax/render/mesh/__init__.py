"""Triangles to pixels, differentiable: soft and hard."""
