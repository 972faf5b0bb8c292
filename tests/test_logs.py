from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.logs import logger, say


def _told(caplog: pytest.LogCaptureFixture, **fields: Any) -> str:  # noqa: ANN401 - of any kind
    with caplog.at_level(logging.INFO, logger=logger.name):
        say("refreshed", **fields)
    return caplog.messages[-1]


def test_a_decision_is_one_line_of_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    line = _told(caplog, provider="acme", models=212, seconds=0.4149, error=None)

    assert line == "refreshed provider=acme models=212 seconds=0.41 error=None"


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("two words", "'two words'"),
        ("", "''"),
        ("a=b", "'a=b'"),
        ('say "hi"', "'say \"hi\"'"),
        ("a\nb", r"'a\nb'"),
        ("\x1b[31mred", r"'\x1b[31mred'"),
        ("größer", "größer"),
    ],
)
def test_a_field_that_could_be_misread_is_quoted(
    field: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert _told(caplog, field=field) == f"refreshed field={shown}"


def test_what_warns_says_so(caplog: pytest.LogCaptureFixture) -> None:
    say("restarts", level=logging.WARNING, process="refresher")

    assert [(one.levelname, one.message) for one in caplog.records] == [
        ("WARNING", "restarts process=refresher")
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_no_field_makes_a_second_line(caplog: pytest.LogCaptureFixture, field: str) -> None:
    line = _told(caplog, field=field)

    assert line.isprintable()


PROGRAM = """
import logging
from services.logs import log_to_stderr, say
log_to_stderr()
say("ready", process="refresher")
logging.getLogger("a.library").info("chatter")
logging.getLogger("a.library").warning("trouble")
"""


@pytest.mark.process
def test_log_lines_go_to_stderr_and_libraries_are_heard_when_they_warn() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30
    )
    lines = [line.partition(",")[2].partition(" ")[2] for line in done.stderr.splitlines()]

    assert lines == ["INFO ready process=refresher", "WARNING trouble"]
    assert done.stdout == ""
