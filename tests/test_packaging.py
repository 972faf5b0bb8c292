"""What installing modelog gives, and what no later installation may take away."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import Distribution, packages_distributions, version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("events", "projections", "services")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def name(requirement: str) -> str:
    """Return the normalized name of the distribution that *requirement* asks for.

    Source: Python packaging specifications, name normalization.
    """
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def requirements() -> set[str]:
    project = PYPROJECT["project"]
    groups = [
        PYPROJECT["build-system"]["requires"],
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PYPROJECT["dependency-groups"].values(),
    ]
    return {requirement for group in groups for requirement in group}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_brings_a_package_of_our_name(package: str) -> None:
    """One installed later would overwrite ours without a word."""
    owners = set(packages_distributions().get(package, []))

    assert owners <= {"modelog"}


def test_every_package_is_imported_from_this_tree() -> None:
    packages = [Path(__import__(package).__file__ or "").parent for package in PACKAGES]

    assert packages == [ROOT / package for package in PACKAGES]


def test_the_installed_version_is_the_one_written_down() -> None:
    assert version("modelog") == PYPROJECT["project"]["version"]


def test_it_cannot_be_uploaded_by_mistake() -> None:
    assert "Private :: Do Not Upload" in PYPROJECT["project"]["classifiers"]


def test_the_command_is_installed() -> None:
    scripts = Distribution.from_name("modelog").entry_points.select(group="console_scripts")

    assert {script.name: script.value for script in scripts} == PYPROJECT["project"]["scripts"]


@pytest.mark.parametrize("place", ["http://", "https://", "file:", "--index", "--extra", "--find"])
def test_the_lock_names_no_place_to_fetch_from(place: str) -> None:
    """Hashes say what is fetched; where from is each machine's own affair."""
    assert place not in LOCK


def test_every_line_of_the_lock_is_a_pin_a_hash_or_a_comment() -> None:
    name = r"[a-z0-9-]+(?:\[[a-z0-9,-]+\])?"
    rest = r"==[\w.]+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?|    #.*"
    pin = re.compile(name + rest)
    strange = [line for line in LOCK.splitlines() if not pin.fullmatch(line)]

    assert strange == []


def test_every_pin_has_a_hash() -> None:
    pins = re.findall(r"^[a-z0-9-]+==", LOCK, flags=re.MULTILINE)
    hashed = re.findall(r"^[a-z0-9-]+==.*\n    --hash=", LOCK, flags=re.MULTILINE)

    assert len(pins) == len(hashed) > 0


@pytest.mark.parametrize("requirement", sorted(requirements()))
def test_every_dependency_is_locked(requirement: str) -> None:
    pins = set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", LOCK, flags=re.MULTILINE))

    assert name(requirement) in pins


def test_what_must_be_exact_is_locked_as_written() -> None:
    exact = {name(r): r.split("==")[1].strip() for r in requirements() if "==" in r}
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, flags=re.MULTILINE))

    assert exact == {package: pins[package] for package in exact}


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(tmp_path: Path) -> None:
    build = "import sys, uv_build; uv_build.build_wheel(sys.argv[1])"
    path = f"{Path(sys.executable).parent}"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=ROOT,
        env={"PATH": path},
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {entry for entry in archive.namelist() if not entry.endswith("/")}
    here = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }

    assert {entry for entry in inside if ".dist-info/" not in entry} == here
