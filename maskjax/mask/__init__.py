"""Words to a mask: first image, loop, export."""
