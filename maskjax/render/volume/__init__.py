"""Rays through tri-planes: samples, densities, colours."""
