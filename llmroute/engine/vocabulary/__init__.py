"""A model's tokens: text to tokens, tokens to bytes."""
