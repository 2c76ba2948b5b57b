"""The documentation says what the program does."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from mailward import __version__
from mailward.cli import app

HIDDEN = {"demo"}  # what `make run` calls
EVERYWHERE = {"--help", "-h"}
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
PLACE = re.compile(r"`((?!src/)(?:[a-z_]+/)+(?:[a-z_]+\.py)?)`")


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, sub in children.items():
        if child not in HIDDEN:
            yield from commands(sub, f"{name} {child}")


COMMANDS = dict(commands(typer.main.get_command(app), "mailward"))


def section(page: str, name: str) -> str:
    found = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section '## {name}'"
    return found[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(root: Path, name: str) -> None:
    """docs/cli.md has a section for each command that names all its options."""
    text = section((root / "docs" / "cli.md").read_text("utf-8"), name)
    options = {option for parameter in COMMANDS[name].params if parameter.param_type_name == "option" for option in parameter.opts}
    missing = {option for option in options - EVERYWHERE if not re.search(rf"`[^`]*{re.escape(option)}\b", text)}
    assert not missing


def test_no_command_is_documented_that_does_not_exist(root: Path) -> None:
    """Every section of docs/cli.md is a command, and every option it names in its table exists."""
    page = (root / "docs" / "cli.md").read_text("utf-8")
    assert set(re.findall(r"^## (.+)$", page, re.MULTILINE)) == set(COMMANDS)
    for name, command in COMMANDS.items():
        known = {option for parameter in command.params for option in parameter.opts}
        rows = [line for line in section(page, name).splitlines() if line.startswith("| `")]
        assert {option for row in rows for option in re.findall(r"`(--[a-z-]+)", row.split(" | ")[0])} <= known


def test_the_settings_page_is_the_one_the_program_writes(root: Path) -> None:
    """docs/settings.md is up to date: every setting with its default. `python docs/reference.py` mends them."""
    spec = importlib.util.spec_from_file_location("reference", root / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    for name, text in reference.pages().items():
        assert (root / "docs" / name).read_text("utf-8") == text


def test_links_between_pages_lead_somewhere(root: Path) -> None:
    """A relative link in README, CHANGELOG or docs/ names a file that exists."""
    pages = [root / "README.md", root / "CHANGELOG.md", *(root / "docs").rglob("*.md")]
    links = [(page, target) for page in pages for target in LINK.findall(page.read_text("utf-8"))]
    local = [(page, target) for page, target in links if "://" not in target and not target.startswith("mailto:")]
    broken = [f"{page.relative_to(root)}: {target}" for page, target in local if not (page.parent / target).exists()]
    assert not broken


def test_the_walk_names_places_that_exist(root: Path) -> None:
    """Every code place in docs/walk.md is a file or a folder below src/mailward."""
    places = set(PLACE.findall((root / "docs" / "walk.md").read_text("utf-8")))
    assert len(places) > 15
    assert [place for place in sorted(places) if not (root / "src" / "mailward" / place).exists()] == []


def test_the_version_is_in_the_changelog_or_unreleased(root: Path) -> None:
    """The changelog's first entry is this version, or what is not released yet."""
    first = re.search(r"^## (\S+)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert first
    assert first[1] in {"Unreleased", __version__}


def test_lock_files_name_no_index_and_pin_every_library_by_hash(root: Path) -> None:
    """The locks say what to install, never from where."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (root / name).read_text("utf-8")
        assert "://" not in text
        blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert blocks
        assert all(re.match(r"\S+==\S+", block) and "--hash=sha256:" in block for block in blocks)


def test_the_runtime_lock_is_part_of_the_other(root: Path) -> None:
    """Tests run with the libraries that are shipped."""
    runtime, everything = (
        set(re.findall(r"^(\S+==\S+)", (root / name).read_text("utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert runtime <= everything


def test_every_library_that_is_installed_to_run_is_used(root: Path) -> None:
    """No runtime dependency is carried along that nothing imports."""
    import tomllib

    wanted = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=;\[ ]", line)[0].lower().replace("-", "_") for line in wanted}
    modules = {"dnspython": "dns", "google_re2": "re2", "libarchive_c": "libarchive", "msoffcrypto_tool": "msoffcrypto", "pillow": "pil"}
    modules |= {"zxing_cpp": "zxingcpp"}
    source = "\n".join(path.read_text("utf-8") for path in (root / "src").rglob("*.py"))
    used = {name.lower() for name in re.findall(r"^\s*(?:import|from) (\w+)", source, re.MULTILINE)}
    assert {name for name in names if modules.get(name, name) not in used} == set()
