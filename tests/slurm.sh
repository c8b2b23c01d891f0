#!/bin/sh
# Runs 200 episodes as an array of eight Slurm tasks, with a controller and four node daemons of Slurm on this machine; one task is killed
# and requeued while it runs. The merged files must be those of a single run, byte for byte.
#
# usage: sh tests/slurm.sh [WORK_DIR]     as root; Debian packages slurmctld, slurmd, slurm-client
set -eu
cd "$(dirname "$0")/.."
work=${1:-$(mktemp -d)}
mkdir -p "$work/state" "$work/log"
work=$(cd "$work" && pwd)
cargo build --release --quiet
program=$(cd "${CARGO_TARGET_DIR:-target}/release" && pwd)/bitvla-eval
host=$(hostname -s)

cat > "$work/slurm.conf" <<CONF
ClusterName=bitvla
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool.%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.%n.pid
SlurmctldLogFile=$work/log/slurmctld
SlurmdLogFile=$work/log/slurmd.%n
ReturnToService=2
KillWait=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName=node[1-4] NodeHostname=$host NodeAddr=127.0.0.1 Port=[17001-17004] CPUs=1 RealMemory=512 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$work/slurm.conf"
stop() {
    for pid in "$work"/*.pid; do
        [ -f "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true
    done
}
trap stop EXIT
slurmctld -c
for node in 1 2 3 4; do
    mkdir -p "$work/spool.node$node"
    slurmd -N "node$node"
done
wait_for() {
    for _ in $(seq 600); do
        if "$@"; then return 0; fi
        sleep 0.2
    done
    echo "waited in vain: $*" >&2
    tail -5 "$work"/log/* >&2
    exit 1
}
all_idle() { [ "$(sinfo -h -N -t idle | wc -l)" = 4 ]; }
wait_for all_idle

options="--suite spatial --policy expert --episodes 20"
export BITVLA_EVAL="$program" BITVLA_OUT="$work/shards"
# shellcheck disable=SC2086 # options are words
job=$(sbatch --parsable --chdir="$PWD" --output="$work/log/task-%a" deploy/slurm-array.sh $options)
lines() { if [ -f "$work/shards/2/journal.jsonl" ]; then wc -l < "$work/shards/2/journal.jsonl"; else echo 0; fi; }
begun() { [ "$(lines)" -gt 3 ]; }
wait_for begun
scontrol requeue "${job}_2"
kept=$(lines)
ended() { [ -z "$(squeue -h)" ]; }
wait_for ended
grep -q '"resumed_episodes": [1-9]' "$work/shards/2/run.json"

"$program" merge "$work"/shards/* --out "$work/merged" > "$work/log/merge"
# shellcheck disable=SC2086
"$program" $options --out "$work/single" > "$work/log/single" 2>&1
for file in episodes.csv actions.bin hashes.bin; do
    cmp "$work/single/$file" "$work/merged/$file"
done
rows=$(($(wc -l < "$work/merged/episodes.csv") - 1))
echo "$rows episodes of 8 Slurm tasks on 4 nodes, one killed with $kept lines in its journal and requeued: the bytes of a single run"
[ "$rows" = 200 ]
