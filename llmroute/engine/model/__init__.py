"""One loaded model: all calls into llama.cpp that compute something."""
