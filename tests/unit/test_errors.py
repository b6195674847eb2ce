"""Every error is one line, and its kind decides the exit code."""

from __future__ import annotations

import pytest

from graphrep import errors

EXIT_CODES = {
    errors.GraphrepError: 1,
    errors.InputError: 2,
    errors.ConfigError: 2,
    errors.MachineError: 1,
    errors.StoreError: 1,
    errors.PointerMovedError: 1,
    errors.GateRefusedError: 3,
}


def test_every_kind_of_error_has_its_exit_code() -> None:
    raised = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    kinds = raised - {errors.GraphrepWarning}
    assert kinds == set(EXIT_CODES)
    assert {kind: kind("x").exit_code for kind in kinds} == EXIT_CODES
    assert all(issubclass(kind, errors.GraphrepError) for kind in kinds)


def test_a_message_says_what_was_expected_found_where_and_what_to_do() -> None:
    error = errors.InputError("a day", found="none", where="--ds", fix="give one")
    assert str(error) == "expected a day, found none [--ds]; give one"
    assert (error.expected, error.found, error.where, error.fix) == ("a day", "none", "--ds", "give one")


def test_parts_that_are_not_known_are_left_out() -> None:
    assert str(errors.InputError("a day")) == "expected a day"
    assert str(errors.InputError("a day", fix="give one")) == "expected a day; give one"
    assert str(errors.InputError("a day", where="--ds")) == "expected a day [--ds]"


@pytest.mark.parametrize("kind", list(EXIT_CODES))
def test_a_message_is_one_line_whatever_is_put_in(kind: type[errors.GraphrepError]) -> None:
    assert str(kind("a\nb", found="c\r\n\td", where="e\n", fix="\nf")) == "expected a b, found c d [e ]; f"


def test_what_the_system_refused_is_one_line_that_names_the_place() -> None:
    error = errors.of_system(PermissionError(13, "Permission denied", "/data/wh"))
    assert error.exit_code == 1
    assert "found Permission denied [/data/wh]" in str(error)
    assert "[elsewhere]" in str(errors.of_system(OSError("odd"), "elsewhere"))
