"""From what the caller wrote to the tokens of a prompt."""
