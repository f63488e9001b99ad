"""What is installed, and what says whose it is: the wheel's metadata and files, the citation, the changes, the pins."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, as `pip wheel` builds it, from the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.mark.slow
def test_the_wheels_metadata(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    told = Parser().parsestr(wheel.read(name).decode())
    assert (told["Name"], told["Version"], told["Summary"]) == (
        "lstm-probe",
        PROJECT["version"],
        PROJECT["description"],
    )
    assert (told["License-Expression"], told["License-File"]) == ("MIT", "LICENSE")
    assert told["Requires-Python"].replace(" ", "") in (">=3.11,<3.14", "<3.14,>=3.11")
    assert told["Project-URL"] is None and told["Home-page"] is None  # there are none
    assert told["Description-Content-Type"] == "text/markdown"
    assert told.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    required = {re.match(r"[\w-]+", line)[0] for line in told.get_all("Requires-Dist") if "extra ==" not in line}
    assert required == {re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]}


@pytest.mark.slow
def test_the_wheels_files(wheel):
    files = set(wheel.namelist())
    conf = {f"lstm_probe/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lstm_probe").rglob("*")
               if path.is_file() and "__pycache__" not in path.parts}  # fmt: skip
    assert conf | package == {name for name in files if ".dist-info/" not in name}
    (entry,) = [name for name in files if name.endswith("entry_points.txt")]
    assert "lstm-probe = lstm_probe.cli:main" in wheel.read(entry).decode()


def test_the_citation_is_of_this_package():
    """By the Citation File Format 1.2.0: what must be there, and a kind, an author and a licence that it knows."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    needed = {"cff-version", "message", "title", "authors"}
    assert needed <= set(cited) <= needed | {"type", "version", "license", "keywords", "abstract"}
    assert cited["cff-version"] == "1.2.0" and cited["type"] == "software" and cited["license"] == PROJECT["license"]
    assert str(cited["version"]) == PROJECT["version"]
    assert cited["authors"] == PROJECT["authors"] and set(cited["keywords"]) == set(PROJECT["keywords"])


def test_the_changes_begin_with_this_version():
    heads = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert heads[0] == PROJECT["version"]


def test_what_the_tests_need_is_pinned():
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    names = [re.sub(r"[-_.]+", "-", name).lower() for name in pinned]
    assert len(set(names)) == len(names)
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    wanted = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower() for line in needed}
    assert wanted <= set(names)


def test_built_pages_and_packages_are_not_kept():
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"build/", "dist/"} <= set(ignored)
