"""Stable Diffusion, its samplers, and score distillation."""
