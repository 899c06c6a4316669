"""The command line as Markdown, from the help of the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from markup import table

from feint.cli import __doc__ as about
from feint.cli import app


def command_line_page() -> str:
    """Return the page of all commands: what each does, its usage, arguments and options with ranges and defaults."""
    sections = [_section(name, command) for name, command in commands(typer.main.get_command(app))]
    codes = (about or "").partition("Exit codes: ")[2].rstrip(".\n").split(";")
    rows = [each.strip().split(" ", 1) for each in codes]
    exits = f"## Exit codes\n\n{table(['code', 'meaning'], rows)}"
    return "\n".join(["# Command line\n\nMade from the help that `feint VERB --help` prints.\n", *sections, exits])


def commands(command: Any, path: tuple[str, ...] = ("feint",)) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, by its full name; a group holds `commands` of its own."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(path), command
        return
    for name, each in below.items():
        yield from commands(each, (*path, name))


def _section(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name)
    usage = " ".join(piece.strip("{}") for piece in command.collect_usage_pieces(context))
    records = [each.get_help_record(context) for each in command.params]
    rows = [[f"`{names}`", told.replace("<", "&lt;")] for names, told in filter(None, records)]
    return f"## {name}\n\n{command.help}\n\n```sh\n{name} {usage}\n```\n\n{table(['', 'what it says'], rows)}"
