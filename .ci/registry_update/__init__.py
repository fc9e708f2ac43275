"""Builds `model_prices.json` from two public catalogues and our own checked facts.

`make registry-update` installs the catalogues in the versions of `catalogues.txt` into an
environment of their own and runs this package. Without the network it gives the same file.
"""
