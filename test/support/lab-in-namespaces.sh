#!/bin/bash
# A lab of two hosts, each in a network namespace of its own: labgrid's coordinator, an exporter and three boards behind ser2net on
# each host, three clients that compete, one of them killed. Needs root, labgrid, socat and ser2net; CI may not make namespaces, so
# this is run by hand: test/support/lab-in-namespaces.sh, in a checkout that was built. Ends with 0 when everybody was served and
# nothing is left acquired.
set -euo pipefail
cd "$(dirname "$0")/../.."
bootproof=(node "$PWD/dist/cli/main.js")
fixtures=$PWD/firmware-fixtures
made=$(mktemp -d)
hosts=(10.77.4.11 10.77.4.12)
export XDG_STATE_HOME=$made/state LG_COORDINATOR=10.77.4.1:20408
pids=()
places=()
start() { "$@" >>"$made/log" 2>&1 & pids+=($!); }
tidy() {
  # bash reports each of them.
  exec 2>/dev/null
  for pid in "${pids[@]}"; do kill -9 "$pid" || true; done
  for host in "${hosts[@]}"; do
    ip netns pids "bp${host##*.}" | xargs -r kill -9 || true
    ip netns del "bp${host##*.}" || true
  done
  ip link del bp-lab || true
  rm -rf "$made"
}
trap tidy EXIT

cd "$made"
"${bootproof[@]}" sign --pad-header -S 0x20000 --align 4 -M 32 -v 2.0.0 -s 2 -k "$fixtures/keys/throwaway-ed25519-1.pem" \
  "$fixtures/prebuilt/app-good-b.wasm" update.bin >/dev/null
"${bootproof[@]}" keys public "$fixtures/keys/throwaway-ed25519-1.pem" public.pem >/dev/null

ip link add bp-lab type bridge
ip addr add 10.77.4.1/24 dev bp-lab
ip link set bp-lab up
start labgrid-coordinator -l "$LG_COORDINATOR"
for host in "${hosts[@]}"; do
  space=bp${host##*.}
  ip netns add "$space"
  ip link add "$space" type veth peer name eth0 netns "$space"
  ip link set "$space" master bp-lab up
  ip netns exec "$space" ip addr add "$host/24" dev eth0
  ip netns exec "$space" ip link set eth0 up
  ip netns exec "$space" ip link set lo up
  for board in 1 2 3; do
    kind=$([ "$board" = 3 ] && echo disco || echo nrf)
    place=$space-$kind-$board
    # Each namespace has its own ports: both hosts use the same numbers.
    start ip netns exec "$space" "${bootproof[@]}" board wasm:good --flash "$made/$place.flash" --port "510$board"
    places+=("$place")
  done
done
for host in "${hosts[@]}"; do
  space=bp${host##*.}
  for board in 1 2 3; do
    kind=$([ "$board" = 3 ] && echo disco || echo nrf)
    until ip netns exec "$space" bash -c "exec 3<>/dev/tcp/127.0.0.1/510$board" 2>/dev/null; do sleep 0.3; done
    start ip netns exec "$space" socat "PTY,rawer,link=$made/$space-$kind-$board.tty" "TCP:127.0.0.1:510$board,forever,interval=0.3"
    tty=$made/$space-$kind-$board.tty
    until [ -e "$tty" ]; do sleep 0.1; done
    # labgrid wants a path below /dev.
    printf '%s:\n  RawSerialPort: { port: "%s" }\n' "$space-$kind-$board" "$(readlink "$tty")" >>"$space.yaml"
  done
  start ip netns exec "$space" labgrid-exporter -c "$LG_COORDINATOR" -n "$space" --hostname "$host" "$made/$space.yaml"
done
for place in "${places[@]}"; do
  until labgrid-client -p "$place" create >/dev/null 2>&1; do sleep 0.3; done
  labgrid-client -p "$place" add-match "*/$place/*" >/dev/null
  labgrid-client -p "$place" set-tags "board=$([[ $place == *disco* ]] && echo disco || echo nrf)" >/dev/null
done
until [ "$(labgrid-client resources | grep -c NetworkSerialPort)" = 6 ]; do sleep 0.3; done

flash=("${bootproof[@]}" flash update.bin --key public.pem --soak 0)
echo "three clients want three of four boards each, and one is killed while it has them"
"${flash[@]}" --tag board=nrf --places 3 >one.out 2>one.err & one=$!
"${flash[@]}" --tag board=nrf --places 3 >two.out 2>two.err & two=$!
"${flash[@]}" --tag board=nrf --places 3 >three.out 2>three.err & three=$!
until grep -q uploading one.err two.err three.err; do sleep 0.1; done
for name in one two three; do grep -q uploading "$name.err" && { kill -9 "${!name}"; killed=$name; break; }; done
for name in one two three; do
  [ "$name" = "$killed" ] && continue
  wait "${!name}" || { cat "$name.out" "$name.err"; exit 1; }
  grep -E "boards succeeded" "$name.out"
done
echo "both disco boards at once, one on each host, together"
"${flash[@]}" --tag board=disco --places 2 --together 2>together.err | tail -1
for _ in $(seq 100); do
  left=$(for place in "${places[@]}"; do labgrid-client -p "$place" show | grep "acquired: [^N]" || true; done)
  [ -z "$left" ] && break
  sleep 0.3
done
[ -z "$left" ] || { echo "left acquired: $left"; exit 1; }
echo "nothing is left acquired; client $killed was killed"
