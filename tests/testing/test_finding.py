"""How the kit finds the spec of what it checks among the installed plugins."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from kit_broken import failures
from kit_subjects import Honest

from ecgbench.plugins import load_plugins
from ecgbench.testing.base import Kind, find_subject
from ecgbench_detectors.margin import Margin

GUEST_CLASS = """
from kit_subjects import Honest

class Mine(Honest):
    def findings(self, task, artifacts):
        import pytest
        return ()
"""
GUEST_HOOKS = """
import scipy
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import DetectorSpec

@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("guest", "guest_rank:Mine", "a guest")]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Return what makes two modules, of hooks and of a class, an installed plugin that requires pytest."""

    def write(name: str, hooks: str, code: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: pytest\n"
        (folder / "METADATA").write_text(metadata, encoding="utf-8")
        (folder / "entry_points.txt").write_text(f"[ecgbench]\n{name} = {name}_hooks\n", encoding="utf-8")
        (tmp_path / f"{name}_hooks.py").write_text(hooks, encoding="utf-8")
        (tmp_path / f"{name}_rank.py").write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))

    return write


def test_of_an_installed_plugin_the_module_of_its_hooks_must_be_light_and_its_requirements_are_declared(
    install: Callable[[str, str, str], None],
) -> None:
    install("guest", GUEST_HOOKS, GUEST_CLASS)
    subject = find_subject(importlib.import_module("guest_rank").Mine())
    assert subject.is_registered
    assert subject.entry.spec.name == "guest"
    failed = failures(subject.instance)
    assert failed.keys() == {"light_import", "requires_declared"}
    assert "importing guest_hooks loads scipy" in failed["light_import"]
    assert "guest_rank imports kit_subjects" in failed["requires_declared"]


def test_what_another_plugin_leads_to_is_not_imported(install: Callable[[str, str, str], None]) -> None:
    install("broken", GUEST_HOOKS.replace("import scipy", "").replace("guest", "broken"), "raise SystemExit(0)")
    assert not find_subject(Honest()).is_registered
    assert find_subject(Margin()).is_registered
    assert "broken" in Kind.DETECTOR.registry(load_plugins()).names


def test_a_class_that_a_spec_names_by_another_module_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Margin, "__module__", "elsewhere")
    subject = find_subject(Margin())
    assert subject.is_registered
    assert subject.entry.spec.name == "margin"
