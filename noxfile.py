"""The verbs of the workspace: `python3 noxfile.py -s VERB`, on a machine with nothing but Python 3.11 or later.

If nox is not installed, this file makes a private environment with nox in `.nox`, and continues there. If it is,
`nox -s VERB` does the same. Put arguments for the tool behind a verb after `--`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
HOME = ROOT / ".nox" / f"py{sys.version_info[0]}{sys.version_info[1]}"  # interpreters do not share environments
CONSTRAINTS = ROOT / "constraints.txt"


def main() -> int:
    """Run nox on this file, in an environment made for it if this Python has no nox."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets a clear message
        return complain(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}")
    command = ["-m", "nox", "-f", str(ROOT / "noxfile.py"), *sys.argv[1:]]
    if importlib.util.find_spec("nox"):
        return subprocess.call([sys.executable, *command])
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        return complain("this Python comes without venv or ensurepip; Debian and Ubuntu have them in python3-venv")
    return subprocess.call([str(private_python()), *command])


def complain(message: str) -> int:
    """Print in one line what is missing."""
    print(f"noxfile.py: {message}", file=sys.stderr)  # noqa: T201 - nothing else can report it yet
    return 1


def private_python() -> Path:
    """The interpreter of the private environment. It is made again if it is unfinished or a pin has changed."""
    pins = [line for line in CONSTRAINTS.read_text().splitlines() if line.startswith(("nox==", "uv=="))]
    pin = " and ".join(pins)
    home = HOME / "boot"
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = home / "made"
    wanted = f"{pin} {ROOT}"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making an environment with {pin} in {home.relative_to(ROOT)}")  # noqa: T201 - as above
        subprocess.check_call([sys.executable, "-m", "venv", "--clear", str(home)])
        subprocess.check_call([str(python), "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), "nox", "uv"])
        stamp.write_text(wanted)
    return python


if __name__ == "__main__":
    sys.exit(main())

import nox
import nox.command
import nox.project

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "venv"
nox.options.envdir = str(HOME)
nox.options.error_on_external_run = True
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "types", "contracts"]

# Tests start hundreds of processes. Each of them would compile our modules again if none may keep what it compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

CONSTRAINED = ("-q", "-c", CONSTRAINTS.name)  # nox runs everything where this file is
PACKAGES = (
    "packages/core",
    "packages/cli",
    "packages/aiohttp_adapter",
    "packages/asgi_adapter",
    "packages/django_adapter",
    "packages/starlette_adapter",
    "packages/wsgi_adapter",
)
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")


def equip(session: nox.Session, group: str, *packages: str) -> None:
    """Fill the environment with a dependency group and our packages, unless it already holds exactly these."""
    recipe = [CONSTRAINTS, ROOT / "pyproject.toml", *(ROOT / package / "pyproject.toml" for package in packages)]
    text = "\n".join([str(ROOT), group, sys.version, *(file.read_text() for file in recipe)])
    wanted = hashlib.sha256(text.encode()).hexdigest()
    stamp = Path(session.bin).parent / "equipped"
    if stamp.exists():
        if stamp.read_text() == wanted:
            return
        shutil.rmtree(stamp.parent)  # pip would not remove packages that are no longer needed
        session.virtualenv.create()
    stamp.write_text("unfinished")
    install(session, *nox.project.dependency_groups(PYPROJECT, group))
    if packages:
        install(session, "--no-build-isolation", *(part for package in packages for part in ("-e", package)))
    stamp.write_text(wanted)


def install(session: nox.Session, *arguments: str) -> None:
    """Install with uv, which takes a fifth of pip's time; with pip if there is no uv, or it cannot reach the index."""
    if importlib.util.find_spec("uv"):
        uv = (sys.executable, "-m", "uv", "pip", "install", "--compile-bytecode")
        there = ("--python", session.virtualenv.location)
        try:
            session.run(*uv, *there, *CONSTRAINED, *arguments, external=True, silent=True)
        except nox.command.CommandFailed:
            session.warn("uv could not install these, so pip installs them")
        else:
            return
    session.install(*CONSTRAINED, *arguments)


BROWSER = "tests/live/test_browser.py"  # needs Chromium, which no package index has

# Tests that start no servers and almost no processes.
QUICK = (
    *("model", "strategies", "identities", "rules", "responses", "limits", "throttles", "notices", "testing", "seed"),
    *("backends/test_binding.py", "backends/test_failures.py", "backends/test_inmemory.py", "backends/test_tables.py"),
)

# Rooms without I/O, so every line can be tested, with the percentage of lines and branches that the tests must run.
PURE = {"identities": 100, "model": 100, "responses": 100, "rules": 100, "strategies": 97}


def scratch() -> dict[str, str]:
    """Where the tests put files: in memory, if there is room, since they write gigabytes of LMDB files."""
    memory = Path("/dev/shm")  # noqa: S108 - pytest makes a folder in it that is only for this user
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    return {"PYTEST_DEBUG_TEMPROOT": str(memory)} if has_room else {}


def run_all(session: nox.Session, *options: str) -> None:
    """Run all tests, and those that fail once more, alone: beside the others, their servers may have been late."""
    # The tests of a file run in one process, since they share servers, and the files in their order: otherwise those
    # with few tests, which are the longest, would come last. Much of the time is spent waiting for servers, so there is
    # room for more processes than processors.
    processes = 2 + (os.cpu_count() or 1)
    spread = (f"--numprocesses={processes}", "--dist=loadfile", "--no-loadscope-reorder")
    parallel = ("--cache-clear", f"--ignore={BROWSER}", *spread)
    try:
        session.run("pytest", *options, *parallel)
    except nox.command.CommandFailed:
        failed = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
        if not failed.exists():  # it failed otherwise
            raise
        session.warn(f"failed beside the others, and run again alone: {', '.join(json.loads(failed.read_text()))}")
        session.run("pytest", *options, "--last-failed", "--maxfail=5")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests; `-- quick` without servers, `-- coverage` with coverage, `-- tests/limits -k wait` for some."""
    equip(session, "tests", *PACKAGES)
    session.env.update(scratch())
    session.run("python", "-VV")
    session.run("python", "-m", "pip", "list", "--format=freeze", "--exclude-editable")
    if session.posargs == ["quick"]:
        paths = [f"tests/{room}" for room in QUICK]
        session.run(
            "pytest", "-q", "--numprocesses=auto", "--dist=loadfile", *paths, env={"TRAFFIK_HYPOTHESIS": "quick"}
        )
        return
    measured = session.posargs == ["coverage"]
    if session.posargs and not measured:
        session.run("pytest", *session.posargs)
        return
    if measured:
        session.run("coverage", "erase")
    run_all(session, *(["--cov", "--cov-append", "--cov-report="] if measured else []))
    if measured:
        session.run("coverage", "report")
        for room, least in PURE.items():
            session.run("coverage", "report", f"--include=*/traffik/{room}/*", f"--fail-under={least}")


@nox.session
def browser(session: nox.Session) -> None:
    """The tests of the live page in a Chromium of this machine; `-- pictures` renews the pictures in the docs."""
    equip(session, "tests", *PACKAGES)
    pictures = {"TRAFFIK_PICTURES": "1"} if session.posargs == ["pictures"] else {}
    session.run("pytest", "-q", BROWSER, env=pictures)


@nox.session
def lint(session: nox.Session) -> None:
    """Style; `-- --fix` fixes what can be fixed automatically."""
    equip(session, "lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", *([] if "--fix" in session.posargs else ["--check"]))


@nox.session
def types(session: nox.Session) -> None:
    """Types, by mypy and pyright; `-- public` to see that each public name has one."""
    equip(session, "types", *PACKAGES)
    if session.posargs != ["public"]:
        # Each takes a minute or more on one processor, so they run side by side. If one fails, nox shows its output.
        with ThreadPoolExecutor() as pool:
            for check in [pool.submit(session.run, tool, silent=True) for tool in ("mypy", "pyright")]:
                session.log("%s", check.result())
        return
    for package in PACKAGES:
        module = next((ROOT / package / "src").glob("traffik*")).name
        # What other packages leave without a type is their matter. The list of modules is shown only if a name fails.
        session.run("pyright", "--verifytypes", module, "--ignoreexternal", silent=True)


@nox.session
def contracts(session: nox.Session) -> None:
    """The rules for imports between modules."""
    equip(session, "contracts", *PACKAGES)
    session.run("lint-imports", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Clients, servers and a naive limiter on loopback; ends by itself. `-- --keep` leaves a service to try."""
    equip(session, "demo", *PACKAGES)
    session.run("python", "-m", "examples.demo", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks, as ratios to a baseline measured in the same run; `-- peers` compares with other limiters."""
    if session.posargs[:1] == ["peers"]:
        compare(session, *session.posargs[1:])
        return
    equip(session, "bench", *PACKAGES)
    session.run("python", "benchmarks/run.py", *session.posargs)


def compare(session: nox.Session, *options: str) -> None:
    """Compare with other limiters, each in an environment with the versions that are pinned beside the program."""
    folder = Path(session.create_tmp())
    pythons = {name: str(folder / name / Path(session.bin).name / "python") for name in ("peers", "upstream")}
    for name, python in pythons.items():
        session.run("python", "-m", "venv", "--clear", str(folder / name))
        packages = ("core", "starlette_adapter", "django_adapter", "aiohttp_adapter") if name == "peers" else ()
        wanted = [f"packages/{package}" for package in packages]
        pins = f"benchmarks/peers/{name}.txt"
        session.run(python, "-m", "pip", "install", "-q", *wanted, "-r", pins, external=True)
    program = "benchmarks/peers/run.py"
    session.run(pythons["peers"], program, "--upstream", pythons["upstream"], *options, external=True)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Coverage-guided fuzzing of the parsers of client input; `-- -runs=1000000` for more inputs."""
    equip(session, "fuzz", "packages/core")
    session.run("python", "tests/fuzz/forwarding.py", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Mutation tests of the pure modules, for some minutes each; `-- keys headers` for some of the rooms."""
    equip(session, "mutants", "packages/core")
    session.run("python", "tests/mutants/run.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Ten minutes of traffic through real servers with restarts and kills, on Linux; `-- 30s` for less."""
    equip(session, "tests", *PACKAGES)
    session.run("python", "tests/soak/run.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site in `site/`; a broken link is an error, and so is a request to another host."""
    equip(session, "docs")
    quiet = {"NO_MKDOCS_2_WARNING": "1"}  # the theme advertises its successor otherwise
    # (With --quiet, mkdocs overlooks what --strict should refuse.)
    session.run("mkdocs", *(session.posargs or ["build", "--strict"]), env=quiet)
    if not session.posargs:
        session.run("python", "docs/check_site.py", "site")


@nox.session
def matrix(session: nox.Session) -> None:
    """Every Python on this machine × every framework, oldest and latest; `-- -e py312-starlette-oldest` for one."""
    equip(session, "matrix")
    session.run("tox", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Source archives, wheels and a bill of materials in `dist/`, then a new user's first steps with the wheels."""
    equip(session, "build")
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for package in PACKAGES:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(dist), package)
    session.run("twine", "check", "--strict", *map(str, sorted(dist.iterdir())))
    # W002 is about equal files: modules that say the same in each of several packages.
    session.run("check-wheel-contents", "--ignore=W002", *map(str, sorted(dist.glob("*.whl"))))
    names = ("core", "aiohttp", "asgi", "cli", "django", "starlette", "wsgi")
    core, aiohttp, asgi, cli, django, starlette, wsgi = (
        str(next(dist.glob(f"traffik_{name}-*.whl"))) for name in names
    )
    clean = Path(session.create_tmp()) / "clean"
    python = str(clean / Path(session.bin).name / "python")
    session.run("python", "-m", "venv", "--clear", str(clean))

    def stranger(script: str, *wheels: str) -> None:
        session.run(python, "-m", "pip", "install", *CONSTRAINED, *wheels, external=True)
        session.run(python, "-I", "-W", "error", f"tests/smoke/{script}", external=True)

    stranger("core_alone.py", core)
    stranger("command_line.py", f"{core}[cli]", cli)
    stranger("django_project.py", f"{core}[django]", django)
    stranger("starlette_app.py", f"{core}[starlette]", starlette, "httpx2")
    stranger("aiohttp_app.py", f"{core}[aiohttp]", aiohttp)
    stranger("wsgi_app.py", f"{core}[wsgi]", wsgi)
    stranger("asgi_app.py", f"{core}[asgi]", asgi)
    (dist / "sbom").mkdir()
    materials = ("cyclonedx-py", "environment", python, "--output-file", str(dist / "sbom" / "traffik.cdx.json"))
    session.run(*materials)  # of all extras, since all of them are installed there now
    session.run("python", "-m", "tests.smoke.quick_start", str(Path(session.create_tmp()) / "quick_start"))


@nox.session
def changelog(session: nox.Session) -> None:
    """The change fragments as they will read in the changelog; `-- --version 0.2.0` writes them there."""
    equip(session, "changelog")
    session.run("towncrier", "build", *(session.posargs or ["--draft", "--version", "next"]))
