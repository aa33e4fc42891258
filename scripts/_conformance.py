"""The conformance suites of others, installed where they are asked for; standard library only."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

from _environment import ROOT

# The last one that Go's module system can name; it has all 146 cases.
H2SPEC = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"


def install_h2spec() -> str:
    """The path of h2spec: the one FERRYLLM_H2SPEC names, or one that Go builds into `.venv-tools` once."""
    named = os.environ.get("FERRYLLM_H2SPEC")
    if named:
        return named
    folder = ROOT / ".venv-tools"
    binary = folder / ("h2spec.exe" if os.name == "nt" else "h2spec")
    if not binary.exists():
        # Go's own installer does not put it into the path.
        go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
        if go is None:
            sys.exit("--conformance builds h2spec with Go, which is not installed (or name a binary: FERRYLLM_H2SPEC)")
        print(f"ferryllm: installing {H2SPEC} (once)", file=sys.stderr, flush=True)
        pathlib.Path(folder).mkdir(exist_ok=True)
        command = [go, "install", H2SPEC]
        if subprocess.run(command, env={**os.environ, "GOBIN": str(folder)}, check=False).returncode:
            sys.exit("go install failed; the lines above say why")
    return str(binary)
