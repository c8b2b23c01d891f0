#!/bin/sh
#SBATCH --job-name=bitvla-eval
#SBATCH --array=0-7
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --output=%x-%A_%a.log
#
# Evaluates a policy as a Slurm array: every task of the array is a shard of the run. The options are those of bitvla-eval:
#
#   sbatch deploy/slurm-array.sh --suite spatial --policy ternary
#   bitvla-eval merge runs/shards/* --out runs/spatial-ternary          # once all tasks have ended
#
# --array=0-31 before the script makes 32 shards. A task that was killed or requeued goes on where it stopped. BITVLA_EVAL names the
# program if it is not in the path, BITVLA_OUT the folder of the shards, which all nodes must see.
set -eu
exec "${BITVLA_EVAL:-bitvla-eval}" "$@" \
    --jobs "${SLURM_CPUS_PER_TASK:-1}" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
    --out "${BITVLA_OUT:-runs/shards}/$SLURM_ARRAY_TASK_ID"
