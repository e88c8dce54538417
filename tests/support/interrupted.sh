# interrupted COMMAND…: runs a training, interrupts it (SIGINT) when it has done an epoch, and waits; what it printed
# goes to standard output. Its status is 130, or 0 where it was quicker.
interrupted() {
    local log
    log=$(mktemp)
    "$@" >"$log" 2>&1 &
    local pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q '^epoch ' "$log"; do sleep 0.02; done
    kill -INT $pid 2>/dev/null
    wait $pid
    local status=$?
    cat "$log"
    rm -f "$log"
    return $status
}
