"""Helpers for testing code that uses llmroute, without a network, a key or a large model."""
