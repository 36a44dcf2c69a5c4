#!/bin/sh
# One run on 8 nodes of 8 GPUs, under Slurm: sbatch trainer/launch/slurm.sh
#
# Needs a `crossover` built with MPI and CUDA in the path of every node, best with NCCL too (feature `nccl`), and the run's
# folder on a file system they share. What a node lacks, `srun --ntasks-per-node=1 crossover doctor` says; how long a run
# takes, `crossover flops --ranks 64`. Each process takes the GPU of its number on its node.
#SBATCH --job-name=crossover
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=2-00:00:00
# Ten minutes before the time is up, every process is told to stop: it saves its state and ends with 130.
#SBATCH --signal=TERM@600
#SBATCH --requeue
#SBATCH --open-mode=append
set -eu

run=${RUN:-runs/paper-1b-masked}
if [ -e "$run/config.toml" ]; then
    set -- --resume "$run"
else
    set -- --objective masked --config trainer/configs/paper-1b.toml --corpus "${CORPUS:-shards/text}" --out "$run"
fi
srun --mpi=pmix --kill-on-bad-exit=1 crossover train "$@" --device cuda --json
