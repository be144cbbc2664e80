#!/usr/bin/env bash
# Starts Kafka on loopback for development and tests: see `start.sh --help` and README.md beside this file.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python3}"
if ! command -v "$python" >/dev/null; then
  echo "start.sh: the program '$python' is not on the PATH; install Python 3.11 or name it: PYTHON=/path/to/python3 $0" >&2
  exit 3
fi
exec "$python" "$here/start.py" "$@" # exec: a signal sent to this process reaches the supervisor itself
