#!/usr/bin/env bash
# Installs what the tests need, then runs ruff, the tests on TensorFlow, and on JAX those that do not
# depend on the backend. Real data is tested where SEMISUP_DATA_DIR names a folder of TFDS data sets.
# With --torch, installs PyTorch, too, and runs on it what does not depend on the backend, alone.
# usage: bash scripts/test.sh [--torch] [pytest argument ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
export TF_CPP_MIN_LOG_LEVEL=3
# Threads of several processes would wait for each other, and spin: a logistic regression of a hundred
# examples takes ten times the processor's time.
export OMP_NUM_THREADS=1
# What pytest makes of the tests' assertions is kept: it takes each worker ten seconds.
unset PYTHONDONTWRITEBYTECODE
if [ "${1:-}" = --torch ]; then
  shift
  install_project test torch
  echo "== PyTorch =="
  KERAS_BACKEND=torch "$PYTHON" -m pytest -n auto --maxprocesses=4 \
    -m "backend and not slow" "$@"
  exit
fi

install_project test
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
echo "== TensorFlow =="
# Most of XLA's time goes into optimizing what runs once, and into the machinery of its new emitters.
export XLA_FLAGS="--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
XLA_FLAGS="$XLA_FLAGS --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true" \
  KERAS_BACKEND=tensorflow "$PYTHON" -m pytest -n auto --maxprocesses=4 --dist=worksteal \
  -m "not slow" "$@"
echo "== JAX =="
# Most of the time goes into compiling what runs once, and many tests compile the same, as the next
# run of them does.
export JAX_COMPILATION_CACHE_DIR=$PWD/.pytest_cache/jax
mkdir -p "$JAX_COMPILATION_CACHE_DIR"
find "$JAX_COMPILATION_CACHE_DIR" -type f -mtime +7 -delete
JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 \
  KERAS_BACKEND=jax JAX_DISABLE_MOST_OPTIMIZATIONS=1 \
  "$PYTHON" -m pytest -n auto --maxprocesses=4 --dist=worksteal -m "backend and not slow" "$@"
