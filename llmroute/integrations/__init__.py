"""Components for other frameworks, each in a module that needs its framework installed."""
