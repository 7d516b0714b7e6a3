#!/bin/sh
# The real programs on the other side, each in a virtual environment of its own: .venv/interop/NAME.
# What is there already is kept; `rm -rf .venv/interop` installs anew.
set -eu
cd "$(dirname "$0")/../.."
UV=.venv/bin/uv
PREFECT=${INTEROP_PREFECT:-prefect>=3.9,<3.10}
AIRFLOW=${INTEROP_AIRFLOW:-apache-airflow>=3.3,<3.4}

provide() { # NAME PROGRAM REQUIREMENT…
    name=$1 program=$2
    shift 2
    [ -x ".venv/interop/$name/bin/$program" ] && return
    echo "Installing $* into .venv/interop/$name (a minute or more) …"
    mkdir -p .venv/interop
    "$UV" venv --quiet --clear ".venv/interop/$name"
    "$UV" pip install --quiet --python ".venv/interop/$name/bin/python" "$@" || {
        echo "make interop: $name could not be installed; a package index is needed." >&2
        exit 1
    }
}

provide prefect prefect "$PREFECT"
provide airflow airflow "$AIRFLOW" "apache-airflow-providers-standard>=1.21"
