"""The errors Feint raises on purpose: what was wrong, what was got, what to do.

Each derives from `FeintError` and from the built-in it resembles, and carries the exit
code with which the command line ends.
"""


class FeintError(Exception):
    """Base of every error raised on purpose; its text is meant for the user."""

    exit_code = 1


class SettingError(FeintError, ValueError):
    """A setting is impossible or unknown (exit code 2, as for a misspelt option)."""

    exit_code = 2


class InputError(FeintError, ValueError):
    """The images given cannot be worked with (exit code 3)."""

    exit_code = 3


class UnsupportedRateError(InputError):
    """A false-alarm rate was asked for that so few calibration normals cannot support (exit code 3)."""


class OutputError(FeintError, OSError):
    """The result cannot be written: it exists already, or the disk is full (exit code 4)."""

    exit_code = 4


class IntegrityError(FeintError, ValueError):
    """A saved run was cut short or changed since it was written (exit code 5)."""

    exit_code = 5


class CollapseError(FeintError, ArithmeticError):
    """Embeddings or scores are constant, so that nothing can be told apart (exit code 6)."""

    exit_code = 6


class WorkerError(FeintError, RuntimeError):
    """A training failed in its worker process; the message carries the cause (exit code 7)."""

    exit_code = 7


class StoppedError(FeintError):
    """Somebody pressed Ctrl-C; the text says what is kept (exit code 130)."""

    exit_code = 130
