"""Views, lights and their words, as prior and mask share them."""
