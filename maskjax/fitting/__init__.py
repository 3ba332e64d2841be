"""A mesh fitted to silhouettes, a mask to a photo."""
