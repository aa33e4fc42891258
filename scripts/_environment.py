"""The project's own virtual environment, made on first use; standard library only.

Both scripts share it: `.venv` beside pyproject.toml, or the folder FERRYLLM_VENV names. What was installed is noted in
the environment, so a second start costs one comparison.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OLDEST = (3, 10)


def ensure(extra: str = "") -> pathlib.Path:
    """The environment's Python, with ferryllm (and ``extra``) installed."""
    if sys.version_info < OLDEST:
        _run_under_newer()
    folder = pathlib.Path(os.environ.get("FERRYLLM_VENV") or ROOT / ".venv")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = folder / f"ferryllm-installed-{extra or 'base'}"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    if not python.exists():
        _say(f"making a virtual environment in {folder}")
        made = subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False)
        if made.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            sys.exit("python -m venv failed: on Debian and Ubuntu install the package python3-venv")
    _say("installing ferryllm" + (f" and what its {extra} needs" if extra else "") + " (once)")
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", target]
    if subprocess.run(command, check=False).returncode:
        sys.exit("the installation failed; the lines above say why")
    stamp.write_text(wanted)
    return python


def run(python: pathlib.Path, *arguments: str) -> int:
    """Run the environment's Python in the project's folder; returns its exit status."""
    return subprocess.run([str(python), *arguments], cwd=ROOT, check=False).returncode


def become(python: pathlib.Path, *arguments: str) -> None:
    """Be the environment's Python from here on, so that signals reach it and its exit status is ours."""
    if os.name == "nt":
        sys.exit(subprocess.run([str(python), *arguments], check=False).returncode)
    os.execv(python, [str(python), *arguments])


def _run_under_newer() -> None:
    for minor in (14, 13, 12, 11, 10):
        found = shutil.which(f"python3.{minor}")
        if found:
            os.execv(found, [found, *sys.argv])
    sys.exit("ferryllm needs Python {}.{} or later; this is {}.{}".format(*OLDEST, *sys.version_info[:2]))


def _say(text: str) -> None:
    print(f"ferryllm: {text}", file=sys.stderr, flush=True)
