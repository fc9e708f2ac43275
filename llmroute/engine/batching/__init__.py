"""Many answers in one context: what each step computes, and what of it is cached."""
