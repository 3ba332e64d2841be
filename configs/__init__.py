"""Every field with its unit and its reason; modes and sweeps."""
