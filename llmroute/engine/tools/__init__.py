"""Tool calls and thinking in a model's text: each family's way of writing them, both directions."""
