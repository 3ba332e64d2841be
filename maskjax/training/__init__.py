"""State, loop, settings, checkpoints, devices, metrics."""
