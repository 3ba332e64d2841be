"""Formulations tuned for a processor, each beside its plain formula."""
