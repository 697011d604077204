#!/usr/bin/env bash
# Sets up everything that is missing, then runs nox with the given arguments; without any, the quick benchmark.
#   ./start_benchmark.sh                      measure: the quick profile, about 4 minutes after the first set-up
#   ./start_benchmark.sh -s tests             run the tests
#   ./start_benchmark.sh -s bench -- --help   what can be chosen
#   ./start_benchmark.sh -l                   what else there is
set -euo pipefail
exec 3>&2

# In a session of its own, out of reach of Ctrl-C, which Python answers with a traceback while it starts.
child=
quietly() {
  local code=0
  setsid "$@" 3>&- &
  child=$!
  wait "$child" || code=$?
  child=
  return "$code"
}
interrupted() {
  [ -z "$child" ] || kill -- "-$child" 2>/dev/null || kill "$child" 2>/dev/null || true
  echo "$0: interrupted" >&3
  exit 130
}
trap interrupted INT TERM HUP

cd "$(dirname "${BASH_SOURCE[0]}")"

case $PWD in
  *:* | *\;* | *$'\n'*)
    echo "$0: the folder's path has a colon, a semicolon or a new line, which no search path can hold: $PWD" >&2
    echo "what to do: move or clone it to a path without" >&2
    exit 1
    ;;
esac

python=${PYTHON:-python3}
if ! quietly "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "$0: $python is not Python 3.11 or newer; set PYTHON to one that is" >&2
  exit 1
fi

# .venv counts as made only when its lock is inside, so that an interrupted set-up is done again.
if ! cmp -s requirements-nox.txt .venv/requirements-nox.txt; then
  if ! quietly "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
      echo "$0: $python cannot make virtual environments; install them: sudo apt-get install $package" >&2
      exit 1
    fi
    echo "installing $package: $python cannot make virtual environments without it"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
  fi
  echo "making .venv with nox and uv"
  quietly "$python" -m venv --clear .venv
  quietly .venv/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r requirements-nox.txt
  cp requirements-nox.txt .venv/
fi

export PATH="$PWD/.venv/bin:$PATH"
[ $# -gt 0 ] || set -- -s bench
# Not .venv/bin/nox, whose first line does not stand every path; noxfile.py lets the signals through.
held=(env "--block-signal=INT,TERM,HUP")
"${held[@]}" true 2>/dev/null || held=()
exec ${held[@]+"${held[@]}"} .venv/bin/python -m nox "$@" 3>&-
