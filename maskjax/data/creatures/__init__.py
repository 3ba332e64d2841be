"""Heads of 41 kinds, sculpted, painted and told in words."""
