"""From the model's scores to an answer's tokens, text, calls and log probabilities."""
