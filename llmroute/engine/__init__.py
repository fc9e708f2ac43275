"""A loaded local model: one thread owns it, requests reach it by queue."""
