#!/bin/sh
# Builds llama.cpp's server for this machine out of the very sources that the installed
# llama-cpp-python was compiled from, with the same flags, and prints the path of the program.
# $1 is the Python that has llama-cpp-python. Everything stays below .cache/llama.cpp-VERSION.
set -eu
python=$1
version=$("$python" -c 'from importlib.metadata import version; print(version("llama-cpp-python"))')
folder=.cache/llama.cpp-$version
server=$folder/build/bin/llama-server

say() { echo "$*" >&2; }

if [ ! -d "$folder/source" ]; then
    say "Fetching the sources of llama-cpp-python $version ..."
    mkdir -p "$folder/new"
    "$python" -m pip download --quiet --no-deps --no-binary :all: --dest "$folder" \
        "llama-cpp-python==$version" >&2
    tar -xzf "$folder"/llama_cpp_python-*.tar.gz -C "$folder/new" --strip-components=1
    mv "$folder/new" "$folder/source"
    rm "$folder"/llama_cpp_python-*.tar.gz
fi

if [ ! -x "$server" ]; then
    say "Compiling llama-server, which takes about ten minutes on two cores; see $folder/build.log"
    {
        cmake -S "$folder/source/vendor/llama.cpp" -B "$folder/build" \
            -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
            -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_RPATH_USE_ORIGIN=ON \
            -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF \
            -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF
        cmake --build "$folder/build" --target llama-server --parallel "$(getconf _NPROCESSORS_ONLN)"
    } >"$folder/build.log" 2>&1 || { tail -n 40 "$folder/build.log" >&2; exit 1; }
fi
echo "$server"
