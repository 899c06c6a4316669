"""Every error of Feint is one of ours and one of Python's, with an exit code of its own."""

import pickle

import pytest

from feint.core import errors

EXPECTED = {
    errors.FeintError: (Exception, 1),
    errors.SettingError: (ValueError, 2),
    errors.InputError: (ValueError, 3),
    errors.UnsupportedRateError: (ValueError, 3),
    errors.OutputError: (OSError, 4),
    errors.IntegrityError: (ValueError, 5),
    errors.CollapseError: (ArithmeticError, 6),
    errors.WorkerError: (RuntimeError, 7),
    errors.StoppedError: (Exception, 130),
}


def test_every_error_is_listed():
    assert {each for each in vars(errors).values() if isinstance(each, type)} == set(EXPECTED)


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_an_error_is_ours_and_pythons_and_keeps_its_text_between_processes(kind):
    builtin, code = EXPECTED[kind]
    error = pickle.loads(pickle.dumps(kind("what was wrong, what to do")))
    assert isinstance(error, errors.FeintError)
    assert isinstance(error, builtin)
    assert str(error) == "what was wrong, what to do"
    assert error.exit_code == code
