"""JSON schemas as people write them: brought into one form, and values checked against them."""
