"""`ecgbench new`: a plugin package to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgbench.cli import options as opt

KindName = Annotated[str, typer.Argument(metavar="KIND", help="detector, noise, metric or dataset.")]
Name = Annotated[str, typer.Argument(help="Its name, also of its package and module, such as my_detector.")]
Out = Annotated[Path, typer.Option("--out", help="Folder in which the package gets a folder of its name.")]


def new(kind: KindName, name: Name, out: Out = Path()) -> None:
    """Write the package of a detector, noise model, metric or dataset, to be installed, checked, run and changed."""
    import shlex

    from ecgbench.scaffold import write_package

    written = write_package(kind, name, out=out, plugins=opt.load_plugins_or_warn(None))
    folder, module = shlex.quote(str(written.folder)), shlex.quote(str(written.files[0]))
    typer.echo(f"{written.folder}: {', '.join(file.name for file in written.files)}")
    typer.echo(f"\n  pip install -e {folder}\n  ecgbench check {name}\n  ecgbench run {written.run}")
    typer.echo(f"\nor without installing it:\n\n  ecgbench check {name} --plugin {module}")
    typer.echo(f"  ecgbench run --plugin {module} {written.run}")
