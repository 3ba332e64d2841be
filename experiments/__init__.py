"""One file for each command: flags, a config, one call."""
