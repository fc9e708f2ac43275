"""Model files: found by name, and their headers read and checked before llama.cpp sees them."""
