#!/usr/bin/env bash
# Trains on 5,000 MNIST digits with 10 labels a class, once on the labels alone and once by
# association, and shows both test errors. Needs Python 3.11 to 3.13 and a package registry; takes at
# most six minutes on two CPU cores after the installation. Results go to runs/demo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
install_project
exec "$PYTHON" scripts/demo.py "$@"
