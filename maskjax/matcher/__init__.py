"""A small image-text model that judges heads."""
