#!/bin/bash
# Asks the tasks of a plan, each on a node of its own choice. Copy it, set what your cluster wants of the lines below, and:
#   ./run_all.sh plan --kernel all --shards 4 -o plan.json     # builds the suite and prints the next line
#   sbatch --array=0-114 slurm_array.sh plan.json              # again with --array=3,7 for tasks that were lost
#   ./run_all.sh merge --plan plan.json                        # names those that are missing
# Submit it in the checkout, which all nodes must see at the same place, as they must see the plan.
# A task ends with 0 when it has its answer, whatever that is; merge says what the answers amount to.
#SBATCH --job-name=portshare
#SBATCH --cpus-per-task=2
#SBATCH --time=01:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
plan=$1; shift  # what follows are options of a run, such as --jobs 2
exec ./run_all.sh run --plan "$plan" --index "$SLURM_ARRAY_TASK_ID" "$@"
