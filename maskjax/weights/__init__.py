"""Formats of other people's weights, both ways."""
