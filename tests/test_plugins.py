"""Plugins: each alone; a broken one is a line in the report, a conflict an error that names both sides."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest

from conftest import TOY, Workspace, install
from ecgbench.errors import PluginConflictError, UsageError
from ecgbench.plugins import load_plugins

HEAD = "from ecgbench.hookspecs import hookimpl\nfrom ecgbench.specs import DetectorSpec, MetricSpec\n"
GOOD = HEAD + '@hookimpl\ndef ecgbench_detectors(): return [DetectorSpec("mine", "nowhere:Mine", "mine")]\n'
BUILT_IN = {"ecgbench", "ecgbench_detectors", "ecgbench_noise_models"}


def write(folder: Path, name: str, code: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(code))
    return path


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise RuntimeError('first line\\nsecond line')", "RuntimeError: first line second line"),
        (HEAD + "@hookimpl\ndef ecgbench_detectors(): raise RuntimeError('in the hook')", "RuntimeError: in the hook"),
        (HEAD + "@hookimpl\ndef ecgbench_detektors(): return []", "ecgbench_detektors"),
        (HEAD + "@hookimpl\ndef ecgbench_detectors(config): return []", "config"),
        (
            HEAD + "@hookimpl\ndef ecgbench_detectors(): return [MetricSpec('a', 'b:C', 'd')]",
            "TypeError: ecgbench_detectors must return DetectorSpec objects, not MetricSpec",
        ),
        (HEAD + "@hookimpl\ndef ecgbench_detectors(): return ['mine']", "must return DetectorSpec objects, not str"),
        (HEAD + "@hookimpl\ndef ecgbench_detectors(): return 5", "TypeError"),
    ],
)
def test_a_broken_plugin_is_a_reason_and_the_others_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    install(tmp_path, "broken_guest", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_guest", raising=False)
    plugins = load_plugins([write(tmp_path, "good", GOOD)])
    (failed,) = plugins.failed
    assert failed.name == "broken_guest_plugin"
    assert reason in str(failed.reason)
    assert "\n" not in str(failed.reason)
    assert "mine" in plugins.detectors.names
    assert {plugin.name for plugin in plugins.loaded} >= BUILT_IN | {"good"}
    with pytest.raises(UsageError, match=r"plugin file .* does not load") as refused:
        load_plugins([write(tmp_path, "broken", code)])
    assert reason in str(refused.value)


def test_half_of_a_broken_plugin_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "half_guest", GOOD + "@hookimpl\ndef ecgbench_metrics(): raise RuntimeError\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = load_plugins()
    assert [plugin.name for plugin in plugins.failed] == ["half_guest_plugin"]
    assert "mine" not in plugins.detectors.names


def test_a_broken_plugin_is_warned_of_and_a_run_goes_on(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "bad_guest", "import no_such_module")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = workspace.run("toy_lengths")
    assert done.code == 0
    warning = "warning: plugin bad_guest_plugin (bad_guest) did not load: ModuleNotFoundError"
    assert done.err.splitlines()[0].startswith(warning)
    rows = json.loads(workspace.cli("plugins", "--json").out)
    assert {row["plugin"]: row["status"].partition(":")[0] for row in rows} == {
        **dict.fromkeys(BUILT_IN, "ok"),
        "bad_guest_plugin": "failed",
    }


def test_a_broken_plugin_file_is_wrong_usage(workspace: Workspace, tmp_path: Path) -> None:
    path = write(tmp_path, "broken", "def broken(:\n")
    for arguments in (["run", "--dataset", "toy", *workspace.options], ["plugins"]):
        done = workspace.cli(*arguments, "--plugin", str(path))
        assert done.code == 2
        assert done.error.startswith(f"error: plugin file '{path}' does not load: SyntaxError")


@pytest.mark.parametrize("name", ["cleanlab", "random", "builtins", "ecgbench", "__main__", "ecgbench_detectors"])
def test_a_plugin_file_with_the_name_of_an_installed_module_is_refused(tmp_path: Path, name: str) -> None:
    before = sys.modules.get(name)
    path = write(tmp_path, name, GOOD)
    with pytest.raises(UsageError, match=f"plugin file '{path}' has the name of an installed module: rename it"):
        load_plugins([path])
    assert sys.modules.get(name) is before


@pytest.mark.parametrize("given", ["./own_file.py", "{folder}/own_file.py", "../{folder.name}/own_file.py"])
def test_a_plugin_file_in_a_folder_that_is_searched_works_and_may_be_given_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    write(tmp_path, "own_file", GOOD)
    (tmp_path / "a_folder").mkdir()
    write(tmp_path / "a_folder", "a_folder", GOOD.replace("mine", "yours"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    files = [Path("own_file.py"), Path(given.format(folder=tmp_path)), Path("a_folder/a_folder.py")]
    assert {"mine", "yours"} <= set(load_plugins(files).detectors.names)


def test_a_target_in_a_plugin_file_is_of_the_file_that_was_given_last(tmp_path: Path) -> None:
    code = GOOD.replace("nowhere:Mine", "same_name:Mine") + "class Mine: "
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        plugins = load_plugins([write(tmp_path / folder, "same_name", f"{code}folder = '{folder}'\n")])
        assert plugins.detectors["mine"].resolve().folder == folder


def test_two_plugins_with_one_name_are_refused_and_switching_one_off_mends_it(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "rival", GOOD.replace('"mine"', '"cleanlab"'))
    monkeypatch.syspath_prepend(str(tmp_path))
    done = workspace.run("toy_lengths")
    assert done.code == 2
    assert "detector 'cleanlab' comes from two plugins: " in done.error
    assert "rival_plugin (rival 1.5)" in done.error
    assert "ecgbench_detectors (ecgbench " in done.error
    names = [word for word in done.error.replace(";", " ").split() if word.startswith("ECGBENCH_DISABLE_PLUGINS=")]
    monkeypatch.setenv("ECGBENCH_DISABLE_PLUGINS", names[0].partition("=")[2])
    assert workspace.run("toy_lengths").code == 0


def test_an_installed_plugin_is_found_with_its_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "guest", GOOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = load_plugins().detectors["mine"]
    assert (entry.plugin, entry.distribution, entry.version) == ("guest_plugin", "guest", "1.5")


def test_a_plugin_file_that_claims_a_taken_name_is_told_to_rename(tmp_path: Path) -> None:
    path = write(tmp_path, "claimant", GOOD.replace('"mine"', '"loss"'))
    with pytest.raises(PluginConflictError, match=rf"detector 'loss' .*ecgbench_detectors.*{path}.*; rename it there"):
        load_plugins([path])


def test_the_names_of_sanity_rows_are_taken(workspace: Workspace, tmp_path: Path) -> None:
    path = write(tmp_path, "claimant", GOOD.replace('"mine"', '"oracle"'))
    done = workspace.run("toy_lengths", "--plugin", str(path))
    assert done.code == 2
    assert "takes the name of a sanity row" in done.error


def test_a_missing_plugin_file_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'nowhere\.py' does not exist"):
        load_plugins([Path("nowhere.py")])


def test_two_plugin_files_of_one_name_are_refused_and_one_given_twice_is_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, two = write(tmp_path, "same", GOOD), write(tmp_path / "other", "same", GOOD.replace("mine", "yours"))
    with pytest.raises(UsageError, match="have one name: rename one"):
        load_plugins([one, two])
    assert load_plugins([one, one]).detectors["mine"].distribution == str(one)


def test_kinds_of_names_do_not_collide(tmp_path: Path) -> None:
    path = write(tmp_path, "shared", GOOD.replace('"mine"', '"uniform"'))
    plugins = load_plugins([path])
    assert "uniform" in plugins.detectors.names
    assert "uniform" in plugins.noise_models.names


def test_loading_imports_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(target: str) -> None:
        pytest.fail(f"{target} was imported")

    monkeypatch.setattr("ecgbench.registry.import_target", refuse)
    assert "toy_absent" in load_plugins([TOY]).detectors.names
