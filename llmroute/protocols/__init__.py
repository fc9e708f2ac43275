"""Protocols that clients speak beside chat completions, as pure functions over the chat call."""
