"""The command line: one module a subcommand, and nothing heavy imported before a command needs it."""

from __future__ import annotations

import os
import sys

import typer

from ecgbench.cli import (
    cache,
    check,
    clean,
    compare,
    doctor,
    explain,
    fetch,
    inspect,
    leaderboard,
    listings,
    new,
    plan,
    run,
    scan,
)
from ecgbench.cli import options as opt

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

app = typer.Typer(
    name="ecgbench",
    help="Benchmark detectors of wrong labels in text data.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("plan")(plan.plan)
app.command("inspect")(inspect.inspect)
app.command("explain")(explain.explain)
app.command("scan")(scan.scan)
app.command("clean")(clean.clean)
app.command("new")(new.new)
app.command("check")(check.check)
app.command("plugins")(listings.plugins)
app.command("detectors")(listings.detectors)
app.command("noises")(listings.noises)
app.command("metrics")(listings.metrics)
app.command("datasets")(listings.datasets)
app.add_typer(leaderboard.app, name="leaderboard")
app.command("compare")(compare.compare)
app.command("fetch")(fetch.fetch)
app.command("doctor")(doctor.doctor)
app.add_typer(cache.app, name="cache")


def _print_version(value: bool) -> None:
    if value:
        from ecgbench import __version__

        typer.echo(f"ecgbench {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(  # noqa: ARG001  # its callback acts
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
    ),
    debug: opt.Debug = False,
) -> None:
    """Benchmark detectors of wrong labels in text data."""
    opt.start_log(debug=debug)


def main() -> None:
    """Run the command line; an error is one line on stderr and an exit code, a traceback only with --debug."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")  # our own progress says how long it takes
    try:
        app(prog_name="ecgbench")
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            typer.echo(f"\ninterrupted; what was done is kept. Resume with:\n  {resume_command()}", err=True)
        raise
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"error: {_describe(error)}", err=True)
        sys.exit(getattr(error, "exit_code", 1))


def resume_command() -> str:
    """Return the line that was typed, to be typed again."""
    import shlex

    return shlex.join(["ecgbench", *sys.argv[1:]])


def _describe(error: Exception) -> str:
    from ecgbench.cli.printable import to_printable
    from ecgbench.errors import EcgbenchError

    text = to_printable(str(error))
    if isinstance(error, EcgbenchError):
        return text
    return f"unexpected {type(error).__name__}: {text}; `ecgbench --debug ...` shows where"
