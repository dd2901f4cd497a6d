# shellcheck shell=bash
# Start and stop of a test server's processes, sourced by the scripts beside it. Linux only (/proc).
#
# Every process is recorded as DIR/NAME.pid. A recorded process is only ever signalled while its
# command line still names DIR, so a pid that the system gave to somebody else is left alone.

# free_ports N: N loopback ports that nobody listens on now, one a line.
free_ports() {
    python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print("\n".join(str(s.getsockname()[1]) for s in held))
PY
}

# spawn DIR NAME COMMAND…: run COMMAND in the background, its output in DIR/NAME.log.
spawn() {
    local dir=$1 name=$2
    shift 2
    nohup "$@" >"$dir/$name.log" 2>&1 </dev/null &
    echo $! >"$dir/$name.pid"
}

# alive DIR NAME: whether the process that spawn started is still running.
alive() {
    local dir=$1 name=$2 pid
    [ -r "$dir/$name.pid" ] || return 1
    pid=$(cat "$dir/$name.pid")
    # A zombie has an empty command line.
    [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "$dir"
}

# terminate DIR NAME GRACE: SIGTERM, then SIGKILL after GRACE seconds.
terminate() {
    local dir=$1 name=$2 grace=$3 pid tenths
    if alive "$dir" "$name"; then
        pid=$(cat "$dir/$name.pid")
        kill -TERM "$pid" 2>/dev/null || true
        for ((tenths = 0; tenths < grace * 10; tenths++)); do
            alive "$dir" "$name" || break
            sleep 0.1
        done
        if alive "$dir" "$name"; then
            kill -KILL "$pid" 2>/dev/null || true
            while alive "$dir" "$name"; do sleep 0.1; done
        fi
    fi
    rm -f "$dir/$name.pid"
}

# fail_with_log DIR NAME MESSAGE: say what went wrong, with the end of the process's log.
fail_with_log() {
    local dir=$1 name=$2
    shift 2
    {
        echo "$*"
        echo "--- last lines of $dir/$name.log"
        tail -n 20 "$dir/$name.log" 2>/dev/null || true
    } >&2
    return 1
}

# write_env DIR ENDPOINT ACCESS_KEY SECRET_KEY BUCKET REGION SERVER SEAL: DIR/env, in the form that
# both `set -a; . DIR/env` and Docker-style env readers take.
write_env() {
    cat >"$1/env.new" <<ENV
CIDBUCKET_TEST_ENDPOINT=$2
CIDBUCKET_TEST_ACCESS_KEY=$3
CIDBUCKET_TEST_SECRET_KEY=$4
CIDBUCKET_TEST_BUCKET=$5
CIDBUCKET_TEST_REGION=$6
CIDBUCKET_TEST_SERVER=$7
CIDBUCKET_TEST_SEAL=$8
ENV
    mv "$1/env.new" "$1/env"
}

# print_env DIR: DIR/env as one line of JSON.
print_env() {
    python3 - "$1/env" <<'PY'
import json, sys
pairs = (line.rstrip("\n").split("=", 1) for line in open(sys.argv[1]))
print(json.dumps({name.removeprefix("CIDBUCKET_TEST_").lower(): value for name, value in pairs}))
PY
}
