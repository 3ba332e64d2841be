"""Speed, beside the implementations of others."""
