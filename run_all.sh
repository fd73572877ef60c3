#!/bin/sh
# The front door: finds a Python 3.11 or newer and hands over to driver/.  Try ./run_all.sh --help
set -eu

# A Python with an older one in front of it in PATH counts too; the driver needs the standard library only.
find_python() {
  for python in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
    "$python" -S -c 'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys.executable)' 2>/dev/null && return
  done
  return 1
}

wants_install() {
  for argument in "$@"; do
    case $argument in --install-deps | --install-deps=*) return ;; esac
  done
  return 1
}

install_python() {
  if command -v apt-get >/dev/null; then
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3
  else
    dnf install -y python3
  fi >&2
}

# 1: there is none. Any other code is the shell's own, when it cannot fork.
python=$(find_python) || [ $? = 1 ] || {
  echo "run_all.sh: python3 could not be started: let more processes run (ulimit -u, pids.max)" >&2
  exit 2
}
if [ -z "$python" ]; then
  if wants_install "$@" && [ "$(id -u)" = 0 ]; then
    install_python || true
  fi
  if ! python=$(find_python); then
    echo "run_all.sh: no Python 3.11 or newer is here: sudo apt-get update && sudo apt-get install -y python3 (or: sudo dnf install -y python3)" >&2
    exit 2
  fi
fi

root=$(dirname "$(readlink -f "$0")")
# -P: a folder named driver/ where the caller stands is not ours.  -S: the standard library is enough, and sooner here.
PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1 exec "$python" -P -S -m driver "$@"
