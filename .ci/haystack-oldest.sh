#!/bin/sh
# Tests the Haystack components on the oldest haystack-ai they support. $1 is the virtual environment
# with everything else; the old Haystack goes into one of its own, which looks there for the rest.
set -eu
base=$1
oldest=$(sed -n 's/^haystack = \["haystack-ai>=\([0-9.]*\),.*/\1/p' pyproject.toml)
venv=.cache/haystack-$oldest

if [ ! -x "$venv/bin/python" ]; then
    "$base/bin/python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet "haystack-ai==$oldest.*"
    "$base/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/base.pth"
fi
PYTHONPATH=. exec "$venv/bin/python" -m pytest -m "not slow" tests/integrations/haystack
