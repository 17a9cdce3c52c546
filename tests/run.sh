#!/bin/sh
# Every test, fast ones first; the first stage that fails ends the run. Called by `./run test` and by CI,
# with the environment's programs on the PATH. `./run test unit` runs one stage: lint, unit, clients, chain, browser or chaos.
set -eu
cd "$(dirname -- "$0")/.."
stages="${*:-lint unit clients chain browser chaos}"
code='watchfloor contracts common detectors streams gateway connect deploy simulation evaluation clients/python'

for stage in $stages; do
    printf '\n== %s\n' "$stage" >&2
    case "$stage" in
        lint)
            ruff check . && ruff format --check --quiet . && mypy && lint-imports --no-logo >/dev/null ||
                { printf 'watchfloor: the lint stage failed\n' >&2; exit 1; } ;;
        unit) pytest tests/unit tests/contract tests/fuzz $code ;;
        clients) python scripts/check_python_client.py ;; # the wheel alone, on every Python that is there
        chain) pytest tests/chain ;;
        browser)
            if command -v chromium >/dev/null; then pytest tests/browser
            else printf 'watchfloor: browser tests left out: no chromium (Debian: apt-get install chromium)\n' >&2
            fi ;;
        chaos) python tests/chaos/full.py --short ;; # without --short it takes most of an hour
        *) printf 'watchfloor: unknown stage %s: lint, unit, clients, chain, browser or chaos\n' "$stage" >&2; exit 2 ;;
    esac
done
