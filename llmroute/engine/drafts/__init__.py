"""Speculative decoding: tokens guessed ahead, so that one step can confirm several."""
