#!/usr/bin/env bash
# The client for browsers and Node, in both: bash tests/browser/js.sh
#
# CIDBUCKET_BIN names the `cidbucket` whose `serve --dev` it is tested against. Wants Node 20.3 or
# newer with npm; installs Debian's Chromium unless CHROMIUM or /usr/bin/chromium is one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../crates/client/js"

export CIDBUCKET_BIN=${CIDBUCKET_BIN:?names the cidbucket to test against}
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
missing=()
command -v npm >/dev/null || missing+=(nodejs npm)
[ -x "$CHROMIUM" ] || missing+=(chromium)
if [ "${#missing[@]}" -gt 0 ]; then
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
fi

# Scripts of dependencies are not run: none of those that are used needs one.
npm ci --ignore-scripts --loglevel=error
npm run --silent build
npm run --silent check
npm run --silent test:service
npm run --silent test:chromium
