#!/bin/sh
# Create the virtual environment DIR with the newest Python that can serve the platform, unless DIR works:
#   sh tools/venv.sh [--check] DIR
# $PYTHON, if it is not empty, is the only candidate. With --check, only exit with 0 if DIR works.
set -u

serves() { "$1" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; }
works() { serves "$1/bin/python" && "$1/bin/python" -c "import pip" 2>/dev/null; }
creates() { "$1" -c "import ensurepip, venv" 2>/dev/null; } # Debian and Ubuntu package these apart from Python

if [ "$1" = --check ]; then
    works "$2"
    exit
fi
directory=$1
works "$directory" && exit 0

unable=
for python in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
    command -v "$python" >/dev/null && serves "$python" || continue
    if ! creates "$python"; then
        unable=${unable:-$python}
        continue
    fi
    [ ! -e "$directory" ] || echo "$directory has no Python 3.11 or newer with pip: it is created again."
    rm -rf "$directory"
    "$python" -m venv "$directory" && exit 0
    rm -rf "$directory" # a part of an environment would look complete to the next run
    exit 1
done

if [ -n "$unable" ]; then
    package=$("$unable" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    echo "$unable cannot create $directory without the modules venv and ensurepip: install them (Debian, Ubuntu: apt install $package)." >&2
else
    echo "Luna needs Python 3.11 or newer${PYTHON:+, which PYTHON=$PYTHON is not}: install it, or set PYTHON to its path." >&2
fi
exit 1
