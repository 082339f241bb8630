#!/usr/bin/env bash
# Tests and benchmarks for a machine with an NVIDIA GPU, without PostgreSQL, Redis and internet.
#
#   tests/perf/gpu.sh OUTPUT [WHEELS]
#
# WHEELS: folder of wheels to install, without their dependencies, into a folder of their own. OUTPUT: folder for one
# file per part. The exit status is the number of failed parts. Environment: LUNA_DEVICE (cuda), LUNA_NETWORKS_DIR and
# LUNA_CACHE_DIR (those of the checkout), LUNA_BENCH_FACES, PYTHON (python3).
set -u
cd "$(dirname "$0")/../.." || exit 1
output=$(realpath -m "$1") wheels=${2:-} python=${PYTHON:-python3} failed=0
mkdir -p "$output"
export LUNA_DEVICE=${LUNA_DEVICE:-cuda} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export LUNA_NETWORKS_DIR=${LUNA_NETWORKS_DIR:-$PWD/var/networks} LUNA_CACHE_DIR=${LUNA_CACHE_DIR:-$PWD/var/cache}

if [ -n "$wheels" ]; then
    site=$(mktemp -d)
    "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" "$wheels"/*.whl ||
        exit 1
    export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
fi
# Libraries of CUDA and cuDNN, installed as packages.
libraries=$("$python" -c '
import glob, sys
print(":".join(folder for path in sys.path for folder in sorted(glob.glob(path + "/nvidia/**/lib", recursive=True))))')
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# part NAME SECONDS COMMAND…: run the command with a time limit and write its output to NAME.txt.
part() {
    local name=$1 limit=$2 status started=$SECONDS
    shift 2
    timeout -k 10 "$limit" "$@" >"$output/$name.txt" 2>&1
    status=$?
    [ "$status" -eq 0 ] || failed=$((failed + 1))
    echo "== $name: status $status, $((SECONDS - started)) s"
    tail -n "${LINES_SHOWN:-15}" "$output/$name.txt"
}

{
    nvidia-smi || true
    "$python" -c '
import sys, numpy, onnxruntime
print(sys.version, "numpy", numpy.__version__, "onnxruntime", onnxruntime.__version__, "CUDA", onnxruntime.cuda_version)
print(onnxruntime.get_available_providers())'
} >"$output/machine.txt" 2>&1

# Without the conftest files, which start PostgreSQL and Redis; recognition's one has the engine. Only modules with tests
# of a GPU are imported, because others need more packages.
mapfile -t modules < <(grep -rl --include='test_*.py' 'mark\.gpu' tests)
part tests 240 "$python" -m pytest -q --noconftest -p no:cacheprovider -p tests.unit.recognition.conftest -m gpu "${modules[@]}"
part gpu_matching 240 "$python" -m tests.perf gpu_matching
part device 180 "$python" -m tests.perf device
exit "$failed"
