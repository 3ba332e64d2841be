"""Faces in photos: landmarks, pose, light, identity."""
