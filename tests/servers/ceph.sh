#!/usr/bin/env bash
# A real Ceph with its S3 gateway for the tests: one monitor, one manager, one OSD in memory and one
# RADOS Gateway, on loopback with free ports. (The OSD's objects are gone after a stop.)
#
#   tests/servers/ceph.sh start DIR   install if needed, start, create the bucket, write DIR/env,
#                                     print one line of JSON; does nothing if it runs already
#   tests/servers/ceph.sh stop DIR    end what start started; logs stay in DIR
#
# Then: set -a; . DIR/env; set +a; cargo test -p cidbucket-tests
#
# Installs from Debian's or Ubuntu's packages, so the first start wants root or sudo.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/servers/process.sh
. "$HERE/process.sh"

install() {
    local missing=0 tool as_root=()
    for tool in ceph ceph-authtool monmaptool ceph-mon ceph-mgr ceph-osd radosgw radosgw-admin; do
        command -v "$tool" >/dev/null || missing=1
    done
    [ "$missing" = 0 ] && return
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    echo "installing Ceph from the system's packages" >&2
    "${as_root[@]}" apt-get update -qq >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        radosgw ceph-mon ceph-mgr ceph-osd >&2
}

# until_true SECONDS COMMAND…: repeat COMMAND until it succeeds.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.3
    done
}

configure() {
    local dir=$1 fsid=$2 mon_v2=$3 mon_v1=$4 s3=$5
    # cephx stays on: with `auth = none` radosgw hangs at its start. No `public bind addr`: it would
    # force the monitor's well-known ports. One deletion at a time: 16.2.15 crashes on a DeleteObjects
    # of several keys now and then, since the coroutines that delete them share a map of attributes.
    cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$mon_v2,v1:127.0.0.1:$mon_v1]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = $dir/keyring
run dir = $dir/run
admin socket = $dir/run/\$name.asok
log file = $dir/\$name.ceph.log
mon data = $dir/mon
mgr data = $dir/mgr
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd max object name len = 256
osd max object namespace len = 64
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 1

[client.rgw]
rgw data = $dir/rgw
rgw frontends = beast endpoint=127.0.0.1:$s3
rgw dns name =
rgw multi obj del max aio = 1
CONF
}

start() {
    local dir=$1 access_key=cidbuckettest secret_key=cidbuckettestsecret bucket=cidbucket-test
    local fsid ports conf osd_uuid osd_key
    if alive "$dir" rgw && alive "$dir" osd && alive "$dir" mon && [ -r "$dir/env" ]; then
        print_env "$dir"
        return
    fi
    install
    stop "$dir"
    # A memory store keeps nothing, so neither may the monitor: it would wait for lost objects.
    rm -rf "$dir/mon" "$dir/mgr" "$dir/osd" "$dir/rgw" "$dir/run" "$dir/monmap" "$dir/keyring"
    mkdir -p "$dir/mon" "$dir/mgr" "$dir/osd" "$dir/rgw" "$dir/run"
    conf=$dir/ceph.conf
    fsid=$(cat /proc/sys/kernel/random/uuid)
    mapfile -t ports < <(free_ports 3)
    configure "$dir" "$fsid" "${ports[0]}" "${ports[1]}" "${ports[2]}"
    cluster() { timeout 30 ceph -c "$conf" --connect-timeout 10 "$@"; }

    {
        ceph-authtool -c "$conf" --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *'
        ceph-authtool -c "$conf" "$dir/keyring" --gen-key -n client.admin \
            --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' --cap mds 'allow *'
        ceph-authtool -c "$conf" "$dir/keyring" --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx'
        monmaptool --create --fsid "$fsid" \
            --addv a "[v2:127.0.0.1:${ports[0]},v1:127.0.0.1:${ports[1]}]" "$dir/monmap"
        ceph-mon -c "$conf" -i a --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring"
    } >"$dir/setup.log" 2>&1
    spawn "$dir" mon ceph-mon -c "$conf" -i a -f
    until_true 60 cluster mon stat || fail_with_log "$dir" mon "the Ceph monitor did not start"

    {
        cluster auth get-or-create mgr.a mon 'allow profile mgr' osd 'allow *' mds 'allow *' -o "$dir/mgr/keyring"
        ceph-authtool "$dir/keyring" --import-keyring "$dir/mgr/keyring"
    } >>"$dir/setup.log" 2>&1
    spawn "$dir" mgr ceph-mgr -c "$conf" -i a -f

    osd_uuid=$(cat /proc/sys/kernel/random/uuid)
    osd_key=$(ceph-authtool --gen-print-key)
    {
        echo "{\"cephx_secret\": \"$osd_key\"}" | cluster osd new "$osd_uuid" -i -
        ceph-authtool "$dir/keyring" --name osd.0 --add-key "$osd_key"
        ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$osd_uuid"
    } >>"$dir/setup.log" 2>&1
    spawn "$dir" osd ceph-osd -c "$conf" -i 0 -f
    # shellcheck disable=SC2329 # until_true calls it
    osd_up() { cluster osd stat | grep -q '1 up'; }
    until_true 90 osd_up || fail_with_log "$dir" osd "the Ceph OSD did not come up"

    spawn "$dir" rgw radosgw -c "$conf" -n client.rgw -f
    # shellcheck disable=SC2329 # until_true calls it
    make_user() {
        timeout 60 radosgw-admin -c "$conf" user create --uid=test --display-name=test \
            --access-key="$access_key" --secret-key="$secret_key" ||
            timeout 60 radosgw-admin -c "$conf" user info --uid=test
    }
    until_true 120 make_user || fail_with_log "$dir" rgw "radosgw-admin could not create a user"
    CIDBUCKET_TEST_ACCESS_KEY=$access_key CIDBUCKET_TEST_SECRET_KEY=$secret_key \
        python3 "$HERE/create-bucket.py" "http://127.0.0.1:${ports[2]}" us-east-1 "$bucket" --wait 90 ||
        fail_with_log "$dir" rgw "the RADOS Gateway does not answer"
    write_env "$dir" "http://127.0.0.1:${ports[2]}" "$access_key" "$secret_key" "$bucket" us-east-1 ceph payload-hash
    print_env "$dir"
}

stop() {
    local dir=$1 name
    for name in rgw osd mgr mon; do
        terminate "$dir" "$name" 5
    done
    rm -f "$dir/env"
}

case ${1:-} in
start | stop)
    [ $# = 2 ] || { echo "usage: ${0##*/} start|stop DIR" >&2; exit 2; }
    [ "$1" = stop ] && [ ! -d "$2" ] && exit 0
    mkdir -p "$2"
    dir=$(cd "$2" && pwd)
    if [ "$1" = start ]; then
        trap '[ -r "$dir/env" ] || stop "$dir"' EXIT
    fi
    "$1" "$dir"
    ;;
*)
    echo "usage: ${0##*/} start|stop DIR" >&2
    exit 2
    ;;
esac
