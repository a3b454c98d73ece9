#!/bin/sh
# A study as a job array of SLURM, one task for each case. From the folder of femssb:
#
#     array=$(sbatch --parsable demos/interface_strength_study.sh)
#     sbatch --dependency=afterany:$array --wrap ".venv/bin/python demos/interface_strength_study.py"
#
# The second job writes the page, and runs what the array did not finish.
#SBATCH --job-name=strength
#SBATCH --array=1-3
#SBATCH --ntasks=2
#SBATCH --nodes=1
#SBATCH --cpus-per-task=1
#SBATCH --time=02:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=strength_%A_%a.log
cd "$SLURM_SUBMIT_DIR" || exit
exec .venv/bin/mpirun -n "$SLURM_NTASKS" .venv/bin/python demos/interface_strength_study.py \
    --case "$SLURM_ARRAY_TASK_ID"
