"""The kinds of heads, one table of models and coats for each family."""
