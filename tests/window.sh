#!/usr/bin/env bash
# The window, headless: starts bitvla-view on a virtual display with software Vulkan, drives it with real key and mouse
# events, and checks pictures of it: live, recorded and compare mode show something, what should change does, and what
# should not change does not. Run by hand, and by .ci/run.
#
# It never waits for a time. The window runs with --status-on-stdin: a line `status` on its standard input is answered by
# what the last drawn frame shows (its number, mode, control step, handled input events, whether it is settled; the keys
# are those of FrameStatus in viewer/src/status.rs), and the script asks until that is what it expects.
#
#   tests/window.sh [FOLDER]     pictures go to FOLDER [default: a temporary one]
#
# Needs Debian's xvfb, mesa-vulkan-drivers, xdotool and imagemagick; installs them when it may. Where they cannot be had
# it says so and ends with code 77. With INSTALL_ONLY set it ends after that.
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES="xvfb mesa-vulkan-drivers libvulkan1 xdotool imagemagick libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0"

tools() { for tool in Xvfb xdotool import compare; do command -v "$tool" >/dev/null || return 1; done; }
driver() { ls /usr/share/vulkan/icd.d/lvp_icd*.json >/dev/null 2>&1; }
if ! tools || ! driver; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086
        { timeout 300 apt-get update && timeout 600 apt-get install -y --no-install-recommends $PACKAGES; } \
            >/tmp/window-packages.log 2>&1 || true
    fi
    if ! tools || ! driver; then
        echo "SKIPPED: the window was not looked at; it needs: apt-get install $PACKAGES"
        exit 77
    fi
fi
[ -z "${INSTALL_ONLY:-}" ] || exit 0

out="${1:-$(mktemp -d)}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
rm -f "$out"/*.png "$out"/*.gif
cargo build --locked --release -p bitvla-viewer
cargo build --locked --release --bin bitvla-eval
target="$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')"
view="$target/release/bitvla-view"
eval="$target/release/bitvla-eval"

# As in a desktop session; Mesa complains without.
export XDG_RUNTIME_DIR="$out/.runtime"
mkdir -p -m 700 "$XDG_RUNTIME_DIR"

running=""
display=""
window=""
cleanup() {
    [ -z "$running" ] || kill "$running" 2>/dev/null || true
    [ -z "$display" ] || kill "$display" 2>/dev/null || true
}
trap cleanup EXIT
# A window that ended is noticed by the answer that is missing.
trap "" PIPE

checks=0
fail() {
    echo "FAILED: $*; pictures are in $out"
    exit 1
}
ok() {
    checks=$((checks + 1))
    echo "ok: $*"
}

# A virtual screen of a size.
screen() {
    [ -z "$display" ] || { kill "$display"; wait "$display" 2>/dev/null || true; }
    exec 7>"$out/.display"
    Xvfb -noreset -displayfd 7 -screen 0 "$1x24" >"$out/xvfb.log" 2>&1 &
    display=$!
    for _ in $(seq 100); do [ -s "$out/.display" ] && break; sleep 0.1; done
    exec 7>&-
    DISPLAY=":$(cat "$out/.display")"
    export DISPLAY
}

shot() { import -window root "$out/$1.png"; }

# Longest time to wait for anything, s: a hundred times what an idle machine takes.
PATIENCE=300

# What the last drawn frame shows, by key.
declare -A status

# Asks the window; other lines that it has printed go to window.out.
ask() {
    local line pair
    echo status >&9 2>/dev/null || fail "the window ended: $(cat "$out/window.log")"
    while IFS= read -r -t "$PATIENCE" line <&8; do
        case $line in
        "status "*)
            for pair in ${line#status }; do status[${pair%%=*}]=${pair#*=}; done
            return
            ;;
        *) echo "$line" >>"$out/window.out" ;;
        esac
    done
    fail "the window does not answer: $(cat "$out/window.log")"
}

holds() { # KEY=VALUE or KEY>=NUMBER
    case $1 in
    *">="*) [ "${status[${1%%>=*}]}" -ge "${1#*>=}" ] ;;
    *) [ "${status[${1%%=*}]}" = "${1#*=}" ] ;;
    esac
}

# Waits until a drawn frame fulfils all conditions.
await() { # condition...
    local end=$((SECONDS + PATIENCE)) condition missing
    while :; do
        ask
        missing=""
        for condition; do holds "$condition" || missing="$condition"; done
        [ -n "$missing" ] || return 0
        [ "${status[failed]}" = 0 ] || fail "an episode cannot be shown; status: $(declare -p status)"
        [ "$SECONDS" -lt "$end" ] || fail "$missing did not happen; status: $(declare -p status)"
        sleep 0.05
    done
}

# Waits for so many further frames.
frames() { await "frame>=$((status[frame] + $1))"; }

# A picture of a settled window. The X server may lag behind the frames, so it is taken until two are equal.
rest() {
    local end=$((SECONDS + PATIENCE))
    await settled=1
    frames 2
    shot .before
    while :; do
        frames 2
        await settled=1
        shot "$1"
        [ "$(differing .before "$1" "$WINDOW")" != 0 ] || return 0
        cp "$out/$1.png" "$out/.before.png"
        [ "$SECONDS" -lt "$end" ] || fail "the window does not come to rest"
    done
}

# Share of the pixels of a region (WxH+X+Y) that differ between two pictures, in thousandths.
differing() {
    local size=${3%%+*} pixels
    convert "$out/$1.png" -crop "$3" +repage "$out/.a.png"
    convert "$out/$2.png" -crop "$3" +repage "$out/.b.png"
    pixels=$(compare -metric AE -fuzz 4% "$out/.a.png" "$out/.b.png" null: 2>&1 || true)
    awk -v n="$pixels" -v w="${size%x*}" -v h="${size#*x}" 'BEGIN { printf "%d", 1000 * n / (w * h) }'
}

changed() { # picture picture region thousandths what
    local n
    n=$(differing "$1" "$2" "$3")
    [ "$n" -ge "$4" ] || fail "$5: $n of 1000 pixels of $3 changed from $1 to $2, at least $4 expected"
    ok "$5 ($n of 1000 pixels changed)"
}

same() { # picture picture region thousandths what
    local n
    n=$(differing "$1" "$2" "$3")
    [ "$n" -le "$4" ] || fail "$5: $n of 1000 pixels of $3 changed from $1 to $2, at most $4 expected"
    ok "$5 ($n of 1000 pixels changed)"
}

drawn() { # picture region thousandths what: a blank region has no deviation of brightness
    local n
    n=$(convert "$out/$1.png" -crop "$2" +repage -colorspace Gray \
        -format '%[fx:round(1000*standard_deviation)]' info:)
    [ "$n" -ge "$3" ] || fail "$4: region $2 of $1 is blank (spread $n of 1000, at least $3 expected)"
    ok "$4 (spread $n of 1000)"
}

# Starts the window and waits until the scene is drawn and keys go to it.
open_window() { # options...
    : >"$out/window.out"
    coproc VIEW { exec "$view" --status-on-stdin "$@" --captures "$out" 2>"$out/window.log"; }
    running=$VIEW_PID
    exec 8<&"${VIEW[0]}" 9>&"${VIEW[1]}"
    await "frame>=1"
    window=$(xdotool search --sync --name '^bitvla-view$' | tail -1)
    xdotool windowfocus "$window"
    await focused=1 scenes=1
}

# Opens a mode, paused, and checks that something is drawn in some regions.
open_mode() { # mode regions(space-separated) options...
    local mode="$1" regions="$2" region
    shift 2
    echo "== $mode"
    open_window "$@" --paused
    rest "$mode-start"
    await "mode=$mode" step=0 playing=0
    for region in $regions; do drawn "$mode-start" "$region" 60 "$mode: region $region is drawn"; done
}

# Starts playing a paused mode and takes a picture on the way.
play() { # mode
    press space
    await playing=1 "step>=20"
    shot "$1-playing"
    changed "$1-start" "$1-playing" "$CANVAS" 10 "$1: play moves the robot"
}

pause() { # mode
    press space
    await playing=0
    rest "$1-paused"
}

# Leaves by the key for it.
close_window() {
    local code=0
    xdotool key --delay 100 ctrl+q
    cat <&8 >>"$out/window.out"
    wait "$running" || code=$?
    running=""
    exec 8<&- 9>&-
    [ "$code" = 0 ] || fail "the window ended with code $code: $(cat "$out/window.log")"
    [ ! -s "$out/window.log" ] || fail "the window printed: $(cat "$out/window.log")"
    ok "closed without a message"
}

# Presses keys, one after the other, and waits until a frame with their effect is drawn.
press() { # keys...
    ask
    local keys=$((status[keys] + $#))
    xdotool key --delay 60 "$@"
    await "keys>=$keys"
}

hold_key() {
    ask
    local keys=$((status[keys] + 1))
    xdotool keydown "$1"
    await "keys>=$keys"
}

point() { # x y; by a detour of a pixel, because a pointer that is there already sends no event
    xdotool mousemove $(($1 + 1)) "$2" mousemove "$1" "$2"
    await "pointer=$1,$2"
}

button() { # mousedown|mouseup number
    ask
    local buttons=$((status[buttons] + 1))
    xdotool "$1" "$2"
    await "buttons>=$buttons"
}

drag() { # button x y dx dy
    local i
    point "$2" "$3"
    button mousedown "$1"
    for i in 1 2 3 4 5 6; do point $(($2 + $4 * i / 6)) $(($3 + $5 * i / 6)); done
    button mouseup "$1"
}

click() { # x y
    point "$1" "$2"
    button mousedown 1
    button mouseup 1
}

# Without a display or a driver there is one line and code 2.
one_line() { # words... : command in "$@"
    local words="$1" code=0
    shift
    "$@" >"$out/line.log" 2>&1 || code=$?
    [ "$code" = 2 ] || fail "code $code instead of 2: $(cat "$out/line.log")"
    [ "$(wc -l <"$out/line.log")" = 1 ] || fail "more than one line: $(cat "$out/line.log")"
    grep -q "$words" "$out/line.log" || fail "no '$words' in: $(cat "$out/line.log")"
    ok "one line: $(cut -c1-90 "$out/line.log")..."
}
one_line "apt-get install xvfb" env -u DISPLAY "$view"
one_line "apt-get install xvfb" env DISPLAY=:7654 "$view"
one_line "has 50 stored initial states" "$view" --init 50
one_line "not the folder of a finished run" "$view" "$out/no-run"

# Runs to look at: the third episode of task 4 differs between the two policies, or does not; both are short.
for policy in ternary full; do
    "$eval" --suite spatial --policy $policy --tasks 3,9 --episodes 3 --out "$out/run-$policy" >"$out/run-$policy.log" 2>&1
done

# Where things are at 1280x720.
screen 1280x720
CANVAS=640x440+300+120
TIMELINE=1160x60+80+640
INSETS=270x130+996+88
WINDOW=1280x720+0+0
LEFT=330x400+270+150
RIGHT=330x400+640+150
LATE="900 685"

one_line "apt-get install mesa-vulkan-drivers" \
    env WGPU_BACKEND=vulkan VK_DRIVER_FILES="$out/none.json" VK_ICD_FILENAMES="$out/none.json" "$view"

open_mode live "$CANVAS $INSETS" --suite spatial --task 3 --init 7 --policy ternary --speed 0.2
play live
pause live
changed live-start live-paused "$INSETS" 20 "live: play changes the policy's images"
changed live-start live-paused "$TIMELINE" 5 "live: play fills the timeline"
frames 6
shot live-still
same live-paused live-still "$WINDOW" 0 "live: a paused window does not change"
press End
rest live-last
last=${status[last]}
press Right
await "step=$((last + 1))"
rest live-step
changed live-last live-step "$INSETS" 2 "live: one step on"
press Home
await step=0
rest live-home
same live-start live-home "$INSETS" 2 "live: back at the start the policy's images are those of the start"
press End
await "step=$((last + 1))"
rest live-end
same live-step live-end "$INSETS" 2 "live: at the end they are those of the last step"
drag 1 620 250 220 60
rest live-orbit
changed live-end live-orbit "$CANVAS" 150 "live: a drag turns the camera"
same live-end live-orbit "$INSETS" 2 "live: a turned camera leaves the policy's images alone"
press f
rest live-again
same live-end live-again "$CANVAS" 10 "live: F brings the first view back"
press 1 3
rest live-layers
changed live-again live-layers "$CANVAS" 10 "live: collision shapes and frames appear"
press 1 3
hold_key ctrl
point 552 380
button mousedown 1
await grabbing=1
steps=${status[last]}
for i in 1 2 3 4 5 6; do point $((552 + 10 * i)) $((380 - 15 * i)); done
await "last>=$((steps + 8))"
button mouseup 1
xdotool keyup ctrl
await grabbing=0 playing=0
rest live-dragged
changed live-again live-dragged "$CANVAS" 5 "live: Ctrl and a drag pull at the bowl on the cabinet"
changed live-again live-dragged "$INSETS" 1 "live: the policy sees the bowl move"
press F10
await clip=1
press k
await teleoperating=1
hold_key w
steps=${status[last]}
await "last>=$((steps + 10))"
xdotool keyup w
press space
await playing=0
frames 10
press F10
await clip=0 "files>=1"
[ "$(identify "$out"/bitvla-view_spatial_*.gif | wc -l)" -ge 4 ] || fail "F10 wrote no clip"
ok "live: F10 writes a clip"
rest live-driven
changed live-dragged live-driven "$CANVAS" 10 "live: keys drive the arm"
press Escape
await teleoperating=0
press F1
await help=1
rest live-help
changed live-driven live-help "$CANVAS" 300 "live: F1 shows the keys"
press F1
await help=0
press F12
await "files>=2"
[ "$(identify -format '%wx%h' "$out"/bitvla-view_spatial_*.png)" = 1280x720 ] || fail "F12 wrote no picture"
ok "live: F12 writes a picture"
close_window

echo "== the same bits"
hash=$(grep '^spatial,3,[^,]*,0,' "$out/run-ternary/episodes.csv" | grep -o '[0-9a-f]\{16\}')
open_window --suite spatial --task 3 --init 0 --policy ternary
drag 1 620 250 120 60
await playing=0
grep -q "state $hash\$" "$out/window.out" || fail "state $hash of bitvla-eval, but: $(cat "$out/window.out")"
ok "an episode in the window ends in the state of bitvla-eval: $(cat "$out/window.out")"
close_window

open_mode recorded "$CANVAS" "$out/run-ternary"
play recorded
pause recorded
# shellcheck disable=SC2086
click $LATE
rest recorded-late
changed recorded-start recorded-late "$CANVAS" 10 "recorded: a click on the timeline moves the robot"
changed recorded-start recorded-late "$INSETS" 20 "recorded: a click on the timeline changes the policy's images"
press Home
await step=0
rest recorded-home
same recorded-start recorded-home "$INSETS" 2 "recorded: back at the start"
press n
rest recorded-next
await step=0
changed recorded-home recorded-next "$INSETS" 5 "recorded: the next episode is another"
close_window

open_mode compare "$LEFT $RIGHT" "$out/run-ternary" "$out/run-full"
# shellcheck disable=SC2086
click $LATE
rest compare-late
changed compare-start compare-late "$LEFT" 10 "compare: scrubbing moves the left robot"
changed compare-start compare-late "$RIGHT" 10 "compare: scrubbing moves the right robot"
drag 1 450 250 120 40
rest compare-orbit
changed compare-late compare-orbit "$LEFT" 100 "compare: a drag turns the left camera"
changed compare-late compare-orbit "$RIGHT" 100 "compare: and the right one with it"
close_window

echo "== frames per second (not a check)"
"$view" --suite spatial --task 3 --init 7 --measure 10

screen 1920x1080
CANVAS=1100x700+340+140
wide() { # mode options...
    local mode="$1"
    shift
    echo "== $mode at 1920x1080"
    open_window --size 1920x1080 "$@"
    await "mode=$mode" "step>=30"
    shot "wide-$mode"
    drawn "wide-$mode" "$CANVAS" 60 "$mode at 1920x1080: the scene is drawn"
    close_window
}
wide live --suite goal --task 2 --policy expert
wide recorded "$out/run-ternary" --task 9
wide compare "$out/run-ternary" "$out/run-full"

rm -rf "$out"/.[a-z]*
echo "the pictures are in $out"
printf '\nwindow: %s passed, 0 failed\n' "$checks"
