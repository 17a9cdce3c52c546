#!/bin/sh
# Every test, fast ones first; the first stage that fails ends the run and is named. Called by `./run test` and by CI,
# with the environment's programs on the PATH.
#
#   ./run test                    lint, unit, clients, chain, browser, chaos
#   ./run test fast               lint and unit
#   ./run test unit chain         some stages
#   ./run test hostile            what customers, tenants, viewers and neighbours might try; not part of the default
#   ./run test unit -k word       what begins with a dash, and all after it, goes to pytest
set -eu
cd "$(dirname -- "$0")/.."
code='watchfloor contracts common detectors streams gateway connect deploy simulation evaluation clients/python'
all='lint unit clients chain browser chaos'

stages=
while [ $# -gt 0 ]; do
    case "$1" in
        lint | unit | clients | chain | hostile | browser | chaos) stages="$stages $1" ;;
        fast) stages="$stages lint unit" ;;
        -*) break ;;
        *) printf 'watchfloor: unknown stage %s: fast, or some of %s, hostile\n' "$1" "$all" >&2; exit 2 ;;
    esac
    shift
done

tests() { pytest --durations=15 "$@"; }

run_stage() {
    stage=$1
    shift
    case "$stage" in
        lint) ruff check . && ruff format --check --quiet . && mypy && lint-imports --no-logo >/dev/null ;;
        unit)
            # On every core; not for a few chosen tests, each process collects all of them first.
            [ $# -gt 0 ] || set -- -n auto --dist loadfile
            tests "$@" tests/unit tests/fuzz $code ;;
        clients) python scripts/check_python_client.py ;; # the wheel alone, on every Python that is there
        chain) tests "$@" tests/chain ;;
        hostile) tests "$@" tests/hostile ;; # attacks and floods, in about ten minutes; not by default
        browser)
            if command -v chromium >/dev/null; then tests "$@" tests/browser
            else printf 'watchfloor: browser tests left out: no chromium (Debian: apt-get install chromium)\n' >&2
            fi ;;
        chaos)
            if [ $# -gt 0 ]; then tests "$@" tests/chaos
            else python tests/chaos/full.py --short # without --short it takes most of an hour
            fi ;;
    esac
}

for stage in ${stages:-$all}; do
    printf '\n== %s\n' "$stage" >&2
    began=$(date +%s)
    run_stage "$stage" "$@" || { printf 'watchfloor: the %s stage failed\n' "$stage" >&2; exit 1; }
    printf '== %s passed in %d s\n' "$stage" $(($(date +%s) - began)) >&2
done
