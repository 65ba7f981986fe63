"""Makes `.venv` with `.venv/bin/vjail`, and with `dev` also the tools for its tests. Standard library only.

Debian's python3 comes without pip; it is then fetched from PyPI into the environment. Nothing is installed outside the
checkout. Run by make; to be repeated at will, it does only what is missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
VENV = TOP / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")
MISSING_VENV = (
    "python3 has no module venv; on Debian and Ubuntu it is in the package libpython3-stdlib (apt install python3)"
)


def main() -> int:
    """Set up what is missing; the exit code."""
    wanted = "dev" if "dev" in sys.argv[1:] else "runtime"
    if sys.version_info < OLDEST:
        return fail(f"python {'.'.join(map(str, OLDEST))} or later is needed, this is {sys.version.split()[0]}")
    stamp = VENV / f".{wanted}"
    sources = (TOP / "pyproject.toml").read_bytes() + str(TOP).encode()
    digest = hashlib.sha256(sources).hexdigest()
    if stamp.exists() and stamp.read_text() == digest and PYTHON.exists():
        return 0
    started = time.monotonic()
    try:
        make_environment()
        install(wanted)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        return fail(f"setting up .venv failed: {error}")
    for name in {"runtime", wanted}:
        (VENV / f".{name}").write_text(digest)
    if shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        say("pf in labs needs nft, which is not here: apt install nftables")
    say(f"ready after {time.monotonic() - started:.0f} s: .venv/bin/vjail")
    return 0


def make_environment() -> None:
    """Make the virtual environment, with pip in it."""
    if not PYTHON.exists():
        say("making .venv")
        shutil.rmtree(VENV, ignore_errors=True)
        done = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
        if done.returncode != 0:
            # Debian's python3 has venv but not the pip it would put in.
            shutil.rmtree(VENV, ignore_errors=True)
            done = subprocess.run(
                [sys.executable, "-m", "venv", "--without-pip", str(VENV)], capture_output=True, text=True
            )
        if done.returncode != 0:
            raise ValueError(MISSING_VENV if "No module named venv" in done.stderr else done.stderr.strip())
    if subprocess.run([str(PYTHON), "-c", "import pip"], capture_output=True).returncode != 0:
        with tempfile.TemporaryDirectory() as folder:
            wheel = pip_wheel(Path(folder))
            subprocess.run([str(PYTHON), f"{wheel}/pip", "install", "-q", "--no-index", str(wheel)], check=True)


def pip_wheel(folder: Path) -> Path:
    """pip's wheel: the one Debian keeps for such cases, or PyPI's newest, checked against the index's hash."""
    kept = sorted(Path("/usr/share/python-wheels").glob("pip-*.whl"))
    if kept:
        return kept[-1]
    say("fetching pip")
    page = urllib.parse.urljoin(INDEX.rstrip("/") + "/", "pip/")
    with urllib.request.urlopen(page, timeout=60) as answer:
        text = answer.read().decode()
    links = re.findall(r'href="([^"]*/(pip-([\d.]+)-py3-none-any\.whl)[^"]*#sha256=([0-9a-f]{64}))"', text)
    if not links:
        raise ValueError(f"no pip found at {page}")
    link, name, _, digest = max(links, key=lambda found: [int(part) for part in found[2].split(".")])
    with urllib.request.urlopen(urllib.parse.urljoin(page, link), timeout=120) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{name} is not what the index says it is")
    wheel = folder / name
    wheel.write_bytes(content)
    return wheel


def install(wanted: str) -> None:
    """Install vjail from the checkout, with what it needs."""
    say("installing vjail and what it needs" + (" to be tested" if wanted == "dev" else ""))
    target = f"{TOP}[dev]" if wanted == "dev" else str(TOP)
    command = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-warn-script-location"]
    subprocess.run([*command, "-e", target], check=True)


def say(text: str) -> None:
    """Show progress."""
    print(f"setup: {text}", flush=True)


def fail(text: str) -> int:
    """Say what is wrong."""
    print(f"setup: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
