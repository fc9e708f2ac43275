"""How much memory this machine has, and what a model takes of it."""
