#!/bin/sh
# Makes .venv, where `make` finds its python and its mpirun, with femssb in it.
#
# 1. Where DOLFINx 0.10 or 0.11 already imports (a conda environment, the dolfinx container, a
#    cluster module), that is used as it is: nothing in it is written or replaced, and the Python
#    packages that it lacks go to .venv alone.
# 2. Otherwise a Python >= 3.12 on PATH or of pyenv gets wheels, DOLFINx and MPI among them.
# 3. Otherwise it says how to get either, and stops.
#
# It returns at once when .venv is what this script last made of the files below.
set -eu
cd -- "$(dirname -- "$0")"
here=$(pwd -P)
state="$here $(cat pyproject.toml constraints.txt setup.sh | cksum)"
if [ "$(cat .venv/made-from 2>/dev/null)" = "$state" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

say() { echo "setup: $*" >&2; }

give_up() {
    say "$1 Either of these has DOLFINx; then try again in it:"
    say "  conda-forge:  conda env create -f environment.yml && conda activate femssb"
    say "  container:    docker run -it -v \"\$PWD\":/femssb -w /femssb dolfinx/dolfinx:v0.10.0"
    exit 1
}

# An active .venv of ours is not a place to look for Python or DOLFINx: it is being made again.
PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -vxF "$here/.venv/bin" | tr '\n' ':')
export PATH
unset VIRTUAL_ENV PYTHONHOME
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" # as pip does: a site's own certificates count

has_dolfinx() {
    "$1" - <<'END' >/dev/null 2>&1
import sys
from importlib import import_module, util

if util.find_spec("dolfinx_solver"):
    import_module("dolfinx_solver")
import dolfinx
from petsc4py import PETSc

real = PETSc.ScalarType(0).dtype.kind == "f"
supported = dolfinx.__version__.startswith(("0.10.", "0.11."))
sys.exit(not (real and supported and sys.version_info >= (3, 12)))
END
}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

# Print the first of the commands "$2"... that passes the test "$1".
first() {
    test=$1
    shift
    for candidate; do
        if "$test" "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

make_venv() {
    rm -rf .venv
    "$1" -m venv .venv >/dev/null 2>&1 && return
    rm -rf .venv # Debian's python comes without ensurepip
    uv venv -q --seed --python "$1" .venv
}

# Make .venv a thin layer over the python "$1": that python itself, with femssb and what it lacks.
layer_over() {
    rm -rf .venv
    mkdir -p .venv/bin
    "$1" - <<'END'
import json, re, subprocess, sys, tomllib
from importlib import metadata, util
from pathlib import Path

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
wanted = project["dependencies"] + extras["plot"] + extras["voxels"] + extras["images"] + extras["report"] + extras["docs"] + extras["dev"]
if util.find_spec("gmsh") is None:  # conda's gmsh is there without being known to pip
    wanted.append("gmsh")

# What is there stays as it is (numpy, petsc4py, vtk ...), but an old pytest must not stop us.
tools = {re.match(r"[\w-]+", line)[0] for line in extras["dev"]}
held = Path(".venv/held.txt")
held.write_text(
    "".join(
        f"{d.name}=={d.version}\n"
        for d in metadata.distributions()
        if d.name and d.version and d.version[0].isdigit() and d.name.lower() not in tools
    )
)
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
plan = subprocess.run(
    [*pip, "--dry-run", "--report", "-", "--constraint", held, *wanted],
    stdout=subprocess.PIPE,
    check=False,
)
if plan.returncode:
    sys.exit(f"setup: this environment lacks some of: {', '.join(wanted)}; add them and try again")
missing = [
    f"{item['metadata']['name']}=={item['metadata']['version']}"
    for item in json.loads(plan.stdout)["install"]
]
if missing:
    print("setup: adding to .venv only:", *missing, file=sys.stderr)
    subprocess.run([*pip, "--no-deps", "--prefix", ".venv", *missing], check=True)
END
    layer=$(find "$here/.venv" -name site-packages -o -name dist-packages)
    wrap python "$("$1" -c 'import sys; print(sys.executable)')"
    mpirun=$("$1" -c 'import os, sys; print(os.path.join(sys.prefix, "bin", "mpirun"))')
    [ -x "$mpirun" ] || mpirun=$(command -v mpirun) || return 0
    wrap mpirun "$mpirun"
}

# Make .venv/bin/"$1" run the program "$2" with femssb and the layer on its path.
wrap() {
    cat >".venv/bin/$1" <<END
#!/bin/sh
PYTHONPATH="$here${layer:+:$layer}\${PYTHONPATH:+:\$PYTHONPATH}" exec "$2" "\$@"
END
    chmod +x ".venv/bin/$1"
}

fill_with_wheels() {
    extras='.[wheels,plot,particles,voxels,images,report,docs,dev]'
    uv=uv
    if ! uv --version >/dev/null 2>&1; then
        .venv/bin/python -m pip install -q --disable-pip-version-check uv || true
        uv=.venv/bin/uv
    fi
    "$uv" pip install -q --python .venv/bin/python -c constraints.txt -e "$extras" && return
    say "uv could not do it; trying pip"
    .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e "$extras"
}

# The DOLFINx of the wheels finds MPI only where that is loaded before: see to it that it is, whatever
# a user imports first.
load_mpi_first() {
    site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cat >"$site/mpi_first.py" <<'END'
"""Loads MPI before the libraries of the wheels that link to it, once one of them is imported."""

import sys
from importlib import import_module


class MPIFirst:
    """Finds no module itself."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ("dolfinx", "petsc4py", "slepc4py"):
            sys.meta_path.remove(MPIFirst)
            import_module("dolfinx_solver")


sys.meta_path.insert(0, MPIFirst)
END
    echo "import mpi_first" >"$site/mpi_first.pth"
}

if host=$(first has_dolfinx python3 python); then
    say "using the DOLFINx of $(command -v "$host")"
    layer_over "$host"
elif host=$(first is_recent python3.12 python3.13 python3.14 python3 python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3); then
    say "filling .venv with wheels for $("$host" --version), which takes a minute or two"
    make_venv "$host" || give_up "no venv for it (Debian: apt-get install python3-venv)."
    fill_with_wheels || give_up "the wheels cannot be had for this machine."
    load_mpi_first
else
    give_up "no DOLFINx 0.10 or 0.11 imports here, and there is no Python >= 3.12 to install it for."
fi

if ! .venv/bin/python -c 'import gmsh; gmsh.initialize()' >/dev/null 2>&1; then
    say "Gmsh does not load: it needs the system libraries of OpenGL and X11. On Debian or Ubuntu:"
    say "  apt-get install libglu1-mesa libxcursor1 libxft2 libxinerama1 libxrender1"
    exit 1
fi
if ! .venv/bin/python -c 'import femssb.environment.platform'; then
    say "DOLFINx does not load: see above"
    exit 1
fi
printf '%s\n' "$state" >.venv/made-from
say "done; 'make demo' and 'make test' now start at once"
