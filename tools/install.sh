#!/bin/sh
# Make .venv if there is none, and install whet into it at the versions of constraints.txt.
#
#   sh tools/install.sh minilm|test|dev
#
# PYTHON       makes the environment; where it is not set, python3 or the first of 3.13 to 3.11 that is there
# TORCH_INDEX  where to take torch from, such as PyTorch's index of CPU builds; pip's own where not set
set -eu
cd "$(dirname "$0")/.."
extra=$1
python=${PYTHON:-python3}
venv=.venv

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

version_of() { "$1" -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null || echo "not there"; }

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    if [ "$python" = python3 ]; then
        for other in python3 python3.13 python3.12 python3.11; do
            if fits "$other"; then python=$other && break; fi
        done
    fi
    if ! fits "$python"; then
        echo "whet needs Python 3.11, 3.12 or 3.13, and $python is $(version_of "$python")." >&2
        echo "Name another one, for example: make quickstart PYTHON=python3.12" >&2
        exit 2
    fi
    echo "making $venv with $(version_of "$python")"
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        echo "$python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2
        exit 2
    fi
elif ! fits "$venv/bin/python"; then
    echo "$venv was made with $(version_of "$venv/bin/python"), and whet needs 3.11, 3.12 or 3.13." >&2
    echo "Delete the folder $venv and try again." >&2
    exit 2
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

if [ -n "${TORCH_INDEX:-}" ]; then
    # without its dependencies: that index holds only some versions of them
    pip install --no-deps --index-url "$TORCH_INDEX" "$(grep '^torch==' constraints.txt)"
fi
pip install -c constraints.txt -e ".[$extra]"

# dev holds test, and test holds minilm
case $extra in
dev) held="minilm test dev" ;;
test) held="minilm test" ;;
*) held=$extra ;;
esac
for name in $held; do : >"$venv/.installed-$name"; done
