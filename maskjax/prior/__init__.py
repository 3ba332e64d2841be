"""The bundled diffusion model: batches, training, samples."""
