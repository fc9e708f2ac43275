"""Grammars that hold a model to a form: JSON, a JSON schema, a pattern, calls of tools."""
