"""The same people as caricatures, cartoons and comics."""
