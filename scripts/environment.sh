# Sourced by the other scripts: makes .venv in the project's root and installs the project into it.
# usage: install_project [extra ...]     sets $PYTHON to the environment's interpreter

project_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

is_suitable() {
  command -v "$1" >/dev/null 2>&1 &&
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
  local candidate
  if [ -n "${SEMISUP_PYTHON:-}" ]; then
    if is_suitable "$SEMISUP_PYTHON"; then
      echo "$SEMISUP_PYTHON"
      return
    fi
    echo "SEMISUP_PYTHON=$SEMISUP_PYTHON is no Python 3.11, 3.12 or 3.13" >&2
    return 2
  fi
  for candidate in python3.12 python3.13 python3.11 python3 python; do
    if is_suitable "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "Python 3.11, 3.12 or 3.13 is needed, and none was found;" \
    "SEMISUP_PYTHON=/path/to/python names one" >&2
  return 2
}

install_project() {
  local venv="$project_root/.venv" extras="" base wanted
  [ $# -eq 0 ] || extras="[$(IFS=,; echo "$*")]"
  PYTHON="$venv/bin/python"
  # An environment without pip was interrupted while it was made, or made by another tool.
  if ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
    base=$(find_python) || return 2
    echo "Making $venv with $("$base" --version) ..."
    if ! "$base" -m venv --clear "$venv"; then
      echo "$base cannot make virtual environments; install its venv package" \
        "(python3-venv on Debian and Ubuntu)" >&2
      return 2
    fi
  fi
  wanted="$extras $(cat "$project_root/setup.py" "$project_root/constraints.txt" | cksum)"
  if [ "$(cat "$venv/.installed$extras" 2>/dev/null)" = "$wanted" ]; then
    return 0
  fi
  echo "Installing the project and what it needs (about 1 GB, a few minutes the first time) ..."
  "$PYTHON" -m pip install --quiet --disable-pip-version-check \
    --constraint "$project_root/constraints.txt" --editable "$project_root$extras" || return
  echo "$wanted" >"$venv/.installed$extras"
}
