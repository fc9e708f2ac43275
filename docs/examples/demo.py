"""Asks a real model in this process, without a key or a server.

It is a small one (SmolLM2, 135 million parameters): it speaks well and knows little.
"""

import sys
import time

from llmroute import completion

MODEL = "llamacpp/smollm2-135m-instruct-q4_1.gguf"
QUESTION = "Write two sentences about the sea."

print(f"Loading {MODEL} ...", file=sys.stderr)
started = time.perf_counter()
stream = completion(MODEL, QUESTION, stream=True, max_tokens=80, temperature=0.3)
print(f"First token after {time.perf_counter() - started:.1f} s.\n", file=sys.stderr)

print(f"> {QUESTION}")
with stream:
    for chunk in stream:
        print(chunk.text, end="", flush=True)
print()

usage = stream.get_final_completion().usage
print(f"\n{usage.prompt_tokens} + {usage.completion_tokens} tokens.", file=sys.stderr)
