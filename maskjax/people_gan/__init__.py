"""The bundled people: stages of training, measures, card."""
