#!/usr/bin/env bash
# The window, headless: starts bitvla-view on a virtual display with software Vulkan, drives it with real key and mouse
# events, and checks pictures of it: live, recorded and compare mode show something, and what should change does, and
# what should stand still does. Run by hand, and by .ci/run.
#
#   tests/window.sh [FOLDER]     pictures go to FOLDER [default: a temporary one]
#
# Needs Debian's xvfb, mesa-vulkan-drivers, xdotool and imagemagick; installs them when it may. Where they cannot be had
# it says so and ends with code 77.
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

# A picture of a window that has come to rest.
rest() {
    shot .before
    for _ in $(seq 60); do
        sleep 0.8
        shot "$1"
        [ "$(differing .before "$1" "$WINDOW")" = 0 ] && return
        cp "$out/$1.png" "$out/.before.png"
    done
    fail "the window did not come to rest"
}

# Share of the pixels of a region (WxH+X+Y) that differ between two pictures, in thousandths.
differing() {
    local size=${3%%+*} pixels
    convert "$out/$1.png" -crop "$3" +repage "$out/.a.png"
    convert "$out/$2.png" -crop "$3" +repage "$out/.b.png"
    pixels=$(compare -metric AE -fuzz 4% "$out/.a.png" "$out/.b.png" null: 2>&1 || true)
    awk -v n="$pixels" -v w="${size%x*}" -v h="${size#*x}" 'BEGIN { printf "%d", 1000 * n / (w * h) }'
}

changed() { # picture picture region thousandths what; the second is taken afresh until it is so, for a while
    local n
    for _ in $(seq 30); do
        n=$(differing "$1" "$2" "$3")
        [ "$n" -ge "$4" ] && { ok "$5 ($n of 1000 pixels changed)"; return; }
        sleep 0.7
        shot "$2"
    done
    fail "$5: $n of 1000 pixels of $3 changed from $1 to $2, at least $4 expected"
}

same() { # picture picture region thousandths what
    local n
    n=$(differing "$1" "$2" "$3")
    [ "$n" -le "$4" ] || fail "$5: $n of 1000 pixels of $3 changed from $1 to $2, at most $4 expected"
    ok "$5 ($n of 1000 pixels changed)"
}

# Standard deviation of brightness in a region, in thousandths: a blank one has none.
spread() {
    convert "$out/$1.png" -crop "$2" +repage -colorspace Gray -format '%[fx:round(1000*standard_deviation)]' info:
}

drawn() { # picture region thousandths what
    local n
    n=$(spread "$1" "$2")
    [ "$n" -ge "$3" ] || fail "$4: region $2 of $1 is blank (spread $n of 1000, at least $3 expected)"
    ok "$4 (spread $n of 1000)"
}

# Starts the window and waits until the scene stands in it.
open_window() {
    "$view" "$@" --captures "$out" >"$out/window.out" 2>"$out/window.log" &
    running=$!
    for _ in $(seq 300); do
        kill -0 "$running" 2>/dev/null || fail "the window ended: $(cat "$out/window.log")"
        window=$(xdotool search --name '^bitvla-view$' 2>/dev/null | tail -1 || true)
        [ -n "$window" ] && break
        sleep 0.2
    done
    [ -n "$window" ] || fail "no window appeared"
    xdotool windowfocus "$window"
    for _ in $(seq 150); do
        shot .wait
        [ "$(spread .wait "$CANVAS")" -ge 60 ] && break
        sleep 0.4
    done
    sleep 2
}

# Leaves by the key for it.
close_window() {
    xdotool key --delay 100 ctrl+q
    local code=0
    for _ in $(seq 100); do kill -0 "$running" 2>/dev/null || break; sleep 0.2; done
    kill -0 "$running" 2>/dev/null && fail "the window stayed open"
    wait "$running" || code=$?
    running=""
    [ "$code" = 0 ] || fail "the window ended with code $code: $(cat "$out/window.log")"
    [ ! -s "$out/window.log" ] || fail "the window said: $(cat "$out/window.log")"
    ok "closed without a word"
}

press() {
    xdotool key --delay 60 "$@"
    sleep 1.2
}

drag() { # button x y dx dy
    xdotool mousemove "$2" "$3"
    sleep 0.3
    xdotool mousedown "$1"
    for i in 1 2 3 4 5 6; do
        xdotool mousemove $(($2 + $4 * i / 6)) $(($3 + $5 * i / 6))
        sleep 0.15
    done
    xdotool mouseup "$1"
    sleep 2
}

click() {
    xdotool mousemove "$1" "$2"
    sleep 0.3
    xdotool click 1
    sleep 1.5
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

echo "== live"
open_window --suite spatial --task 3 --init 7 --policy ternary --speed 0.2 --paused
rest live-start
drawn live-start "$CANVAS" 60 "live: the scene is drawn"
drawn live-start "$INSETS" 60 "live: the policy's cameras are drawn"
press space
shot live-playing
changed live-start live-playing "$CANVAS" 10 "live: play moves the robot"
changed live-start live-playing "$INSETS" 20 "live: play changes the policy's images"
changed live-start live-playing "$TIMELINE" 5 "live: play fills the timeline"
press space
rest live-paused
sleep 2
shot live-still
same live-paused live-still "$WINDOW" 0 "live: a paused window stands still"
press Right
rest live-step
changed live-paused live-step "$INSETS" 2 "live: one step on"
press Home
rest live-home
same live-start live-home "$INSETS" 2 "live: back at the start the policy's images are those of the start"
press End
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
xdotool keydown ctrl
drag 1 552 380 60 -90
xdotool keyup ctrl
rest live-dragged
changed live-again live-dragged "$CANVAS" 5 "live: Ctrl and a drag pull at the bowl on the cabinet"
changed live-again live-dragged "$INSETS" 1 "live: the policy sees the bowl move"
press F10
sleep 4
press k
xdotool keydown w
sleep 3
xdotool keyup w
press space
rest live-driven
changed live-dragged live-driven "$CANVAS" 10 "live: keys drive the arm"
press F10
for _ in $(seq 100); do ls "$out"/bitvla-view_spatial_*.gif >/dev/null 2>&1 && break; sleep 0.3; done
sleep 3
[ "$(identify "$out"/bitvla-view_spatial_*.gif | wc -l)" -ge 4 ] || fail "F10 wrote no clip"
ok "live: F10 writes a clip"
press Escape F1
rest live-help
changed live-driven live-help "$CANVAS" 300 "live: F1 shows the keys"
press F1 F12
for _ in $(seq 100); do ls "$out"/bitvla-view_spatial_*.png >/dev/null 2>&1 && break; sleep 0.3; done
sleep 1
[ "$(identify -format '%wx%h' "$out"/bitvla-view_spatial_*.png)" = 1280x720 ] || fail "F12 wrote no picture"
ok "live: F12 writes a picture"
close_window

echo "== the same bits"
hash=$(grep '^spatial,3,[^,]*,0,' "$out/run-ternary/episodes.csv" | grep -o '[0-9a-f]\{16\}')
open_window --suite spatial --task 3 --init 0 --policy ternary
drag 1 620 250 120 60
for _ in $(seq 200); do [ -s "$out/window.out" ] && break; sleep 0.3; done
grep -q "state $hash\$" "$out/window.out" || fail "state $hash of bitvla-eval, but: $(cat "$out/window.out")"
ok "an episode in the window ends in the state of bitvla-eval: $(cat "$out/window.out")"
close_window

echo "== recorded"
open_window "$out/run-ternary" --paused
rest recorded-start
drawn recorded-start "$CANVAS" 60 "recorded: the scene is drawn"
press space
shot recorded-playing
changed recorded-start recorded-playing "$CANVAS" 10 "recorded: play moves the robot"
press space
rest recorded-paused
# shellcheck disable=SC2086
click $LATE
rest recorded-late
changed recorded-paused recorded-late "$CANVAS" 10 "recorded: a click on the timeline moves the robot"
changed recorded-paused recorded-late "$INSETS" 20 "recorded: a click on the timeline changes the policy's images"
press Home
rest recorded-home
same recorded-start recorded-home "$INSETS" 2 "recorded: back at the start"
press n
press Home
rest recorded-next
changed recorded-home recorded-next "$INSETS" 5 "recorded: the next episode is another"
close_window

echo "== compare"
open_window "$out/run-ternary" "$out/run-full" --paused
rest compare-start
drawn compare-start "$LEFT" 60 "compare: the left scene is drawn"
drawn compare-start "$RIGHT" 60 "compare: the right scene is drawn"
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
for mode in live recorded compare; do
    echo "== $mode at 1920x1080"
    case $mode in
    live) open_window --size 1920x1080 --suite goal --task 2 ;;
    recorded) open_window --size 1920x1080 "$out/run-ternary" --task 9 ;;
    compare) open_window --size 1920x1080 "$out/run-ternary" "$out/run-full" ;;
    esac
    sleep 8
    shot "wide-$mode"
    drawn "wide-$mode" "$CANVAS" 60 "$mode at 1920x1080: the scene is drawn"
    close_window
done

rm -rf "$out"/.[a-z]*
echo "the pictures are in $out"
printf '\nwindow: %s passed, 0 failed\n' "$checks"
