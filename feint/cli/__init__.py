"""The command line: one file per verb; turns words into calls, prints, exits. No logic.

Exit codes: 0 done; 1 a check of `doctor` failed, or an error of Feint itself; 2 an option or setting is wrong;
3 the images cannot be worked with; 4 the result cannot be written; 5 a saved run was cut short or changed;
6 a training collapsed; 7 a worker process died; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import typer

from feint.backends import available_cores, keep_freed_memory, limit_later_imports
from feint.cli.assess import assess
from feint.cli.augment import augment
from feint.cli.data import app as data
from feint.cli.doctor import doctor
from feint.cli.evaluate import evaluate
from feint.cli.export import export
from feint.cli.pretrain import pretrain
from feint.cli.refit import refit
from feint.cli.review import review
from feint.cli.score import score
from feint.cli.serve import serve
from feint.cli.study import app as study
from feint.cli.terminal import Commands, say
from feint.cli.tune import tune
from feint.core.errors import FeintError, InputError, SettingError

INTERRUPTED = 130
WITH_RESUME = " What was finished is kept; the same command with --resume goes on from there."
BY_ITSELF = " What was finished is kept; the same command goes on from there."
KEPT = {"tune": WITH_RESUME, "pretrain": WITH_RESUME, "study": BY_ITSELF, "data": BY_ITSELF}

app = typer.Typer(
    name="feint",
    cls=Commands,
    help="Finds anomalies in images without labels, and tells which augmentation fits them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(tune)
app.command()(score)
app.command()(serve)
app.command()(review)
app.command()(export)
app.command()(evaluate)
app.command()(refit)
app.command()(assess)
app.command()(augment)
app.command()(pretrain)
app.command()(doctor)
app.add_typer(data, name="data")
app.add_typer(study, name="study")


def main() -> None:
    """Be the command `feint`: a process of its own, set up for it, that runs the command line."""
    keep_freed_memory()
    with suppress(SettingError):  # whatever computes will complain
        limit_later_imports(available_cores())
    run()


def run() -> None:
    """Run the command line in this process; errors raised on purpose become one sentence and their exit code."""
    try:
        app()
    except FeintError as error:
        say(f"feint: {error}")
        sys.exit(error.exit_code)
    except PermissionError as error:  # of a folder that this user may not enter
        say(f"feint: {error.filename} cannot be used: {error.strerror}. Ask for access, or choose another place.")
        sys.exit(InputError.exit_code)
    except SystemExit as left:  # typer turns Ctrl-C into this
        if left.code == INTERRUPTED:
            say(f"feint: stopped.{KEPT.get(' '.join(sys.argv[1:2]), '')}")
        raise
