"""Meshes, cameras, templates, distances, files of meshes."""
