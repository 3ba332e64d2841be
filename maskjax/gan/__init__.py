"""StyleGAN2 and EG3D: networks, losses, training, snapshots."""
