#!/bin/sh
# Brings what pip cannot: PostgreSQL's server programs, PgBouncer, Chromium and curl. Says nothing when all are there already.
set -eu

has_postgres() {
    command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
        { command -v pg_config >/dev/null && [ -x "$(pg_config --bindir)/initdb" ]; }
}

has_chromium() {
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        [ -z "$name" ] || ! command -v "$name" >/dev/null || return 0
    done
    return 1
}

missing=
has_postgres || missing="$missing postgresql"
has_chromium || missing="$missing chromium"
command -v curl >/dev/null || missing="$missing curl"
command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root="env"
elif sudo -n true 2>/dev/null; then
    as_root="sudo env"
else
    as_root=
fi
if [ -z "$as_root" ] || ! command -v apt-get >/dev/null; then
    echo "The tests need PostgreSQL's server programs, PgBouncer, Chromium and curl. Missing here:$missing." >&2
    echo "Install them (on Debian and Ubuntu: apt-get install$missing) and run this again." >&2
    exit 1
fi

echo "Installing for the tests:$missing …"
$as_root apt-get update -qq
# shellcheck disable=SC2086  # both are lists of words
$as_root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
