"""Lets the 270M model continue a text, in this process, without a key or a server.

It is a base model: it continues texts and was not trained to answer questions, hence the template
"plain", which gives it the message as it is.
"""

import sys
import time

from llmroute import completion

MODEL = "llamacpp/gemma-3-270m-q4_k_m.gguf"
PROMPT = "The three most beautiful cities of Italy are"

print(f"Loading {MODEL} ...", file=sys.stderr)
started = time.perf_counter()
stream = completion(
    MODEL,
    PROMPT,
    stream=True,
    max_tokens=64,
    temperature=0.7,
    chat_template="plain",
)
print(f"First token after {time.perf_counter() - started:.1f} s.", file=sys.stderr)

print(PROMPT, end="")
with stream:
    for chunk in stream:
        print(chunk.text, end="", flush=True)
print()

usage = stream.get_final_completion().usage
print(f"\n{usage.prompt_tokens} + {usage.completion_tokens} tokens.", file=sys.stderr)
