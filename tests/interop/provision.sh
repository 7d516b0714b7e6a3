#!/bin/sh
# The real programs on the other side, each in a folder of its own: .venv/interop/NAME.
# What is there already is kept; `rm -rf .venv/interop` installs anew.
set -eu
cd "$(dirname "$0")/../.."
UV=.venv/bin/uv
PREFECT=${INTEROP_PREFECT:-prefect>=3.9,<3.10}
AIRFLOW=${INTEROP_AIRFLOW:-apache-airflow>=3.3,<3.4}
CLAUDE=${INTEROP_CLAUDE:-2.1.332}

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

claude=.venv/interop/claude-code
if [ ! -x "$claude/node_modules/.bin/claude" ]; then
    echo "Installing Claude Code $CLAUDE with a Node.js of its own into $claude …"
    mkdir -p "$claude"
    cat > "$claude/package.json" <<EOF
{
  "private": true,
  "dependencies": { "@anthropic-ai/claude-code": "$CLAUDE", "node": "22" },
  "allowScripts": { "@anthropic-ai/claude-code": true, "node": true }
}
EOF
    npm install --silent --no-audit --no-fund --prefix "$claude" || {
        echo "make interop: Claude Code could not be installed; npm and a package registry are needed." >&2
        exit 1
    }
fi
