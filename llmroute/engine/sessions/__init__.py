"""Saving what a model has cached of ended calls, and restoring it."""
