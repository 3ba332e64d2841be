"""Scenes of an EG3D, rendered: pictures, depth, meshes, videos."""
