#!/bin/bash
#SBATCH --job-name=uml-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@60
# One training on all nodes of the job, in the folder where it was submitted: sbatch slurm.sh CONFIG DATA.
# A job that is requeued runs the same command; --restartable resumes the run that was stopped.
set -euo pipefail
config=$1 data=$2 port=${PORT:-7000}

# host:port of every task, in the order of SLURM_PROCID; tasks of one node have different ports.
workers=$(scontrol show hostnames "$SLURM_JOB_NODELIST" |
    while read -r host; do
        for ((task = 0; task < SLURM_NTASKS_PER_NODE; task++)); do echo "$host:$((port + task))"; done
    done | paste -s -d ,)
export workers config data
export UML_TF_CACHE=${UML_TF_CACHE:-$PWD/cache}   # decoded images, for all tasks

srun --kill-on-bad-exit=1 bash -c '
    exec uml-tf train --restartable --config "$config" --data "$data" --workers "$workers" --index "$SLURM_PROCID"'
