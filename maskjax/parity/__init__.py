"""Weights of a user, compared with PyTorch."""
