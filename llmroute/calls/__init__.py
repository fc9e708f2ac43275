"""The public calls, one file an operation: its two functions and its own checks."""
