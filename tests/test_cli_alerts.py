"""Alerts: which are shown, by what of their ids they are named, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli import run
from services.cli.alerting import shortened
from tests.support.cli import Answer, modelog, on_terminal
from tests.support.logs import catalogue
from tests.support.vitals import DOWN, FACTS, OPERATIONS, PAST, RETIRES, WORST, acknowledged

pytestmark = pytest.mark.process

COLUMNS = {
    *("alert_id", "provider", "model_id", "kind", "severity", "message", "opened_at"),
    *("resolved_at", "state", "acknowledged_at", "silenced_until"),
}
SEEN = acknowledged(DOWN, "2026-03-31T00:00:00.000Z")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalogue, and neither log nor server."""
    folder = tmp_path_factory.mktemp("alerts")
    catalogue(folder / ".modelog", [*FACTS, SEEN], OPERATIONS)
    return folder


class Here:
    """The command line in this process, in `folder`."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, words: str) -> Answer:
        code = run(["alerts", *words.split()])
        said = self._capture.readouterr()
        return Answer(code, said.out, said.err)


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    monkeypatch.chdir(folder)
    return Here(capsys)


@pytest.mark.parametrize(
    ("words", "alerts"),
    [
        ("", [RETIRES, WORST, DOWN]),
        ("--state open", [RETIRES, WORST, DOWN]),
        ("--state resolved", [PAST]),
        ("--state all", [RETIRES, WORST, DOWN, PAST]),
        ("--state all --provider beta", [DOWN, PAST]),
        ("--provider all", [WORST]),
        ("--kind retirement --kind critical_failure", [RETIRES, WORST]),
        ("--severity high --severity low", [RETIRES, DOWN]),
        ("--severity medium", []),
        ("--limit 2", [RETIRES, WORST]),
    ],
)
def test_alerts_are_by_provider_and_id(here: Here, words: str, alerts: list[object]) -> None:
    answer = here(f"list --json {words}")

    assert (answer.code, answer.err) == (0, "")
    assert [row["alert_id"] for row in answer.json] == [one.alert_id for one in alerts]  # type: ignore[attr-defined]  # alerts
    assert all(set(row) >= COLUMNS for row in answer.json)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_begins_with_the_worst(folder: Path, columns: int) -> None:
    screen = on_terminal("alerts", "list", "--state", "all", cwd=folder, columns=columns)
    places = [screen.text.index(word) for word in ("critical", "high", "low", "resolved")]

    assert places == sorted(places)
    assert max(map(len, screen.lines)) <= columns
    assert "acked" in screen.text
    assert "\x1b[31mdown" not in screen.raw
    assert ("acme gpt-4.1" in screen.text) is (columns == 120)


def test_no_alert_is_said_to_be_none(here: Here) -> None:
    answer = here("list --severity medium")

    assert (answer.code, answer.out, answer.err) == (0, "", "there is no open alert like that\n")


def test_an_alert_is_named_by_how_no_other_one_begins(here: Here) -> None:
    whole = here(f"show {DOWN.alert_id} --json")
    short = here("show 01aa0000-0001 --json")
    shown = here("show 01cc")

    assert whole.json == short.json
    assert (whole.json["alert_id"], whole.json["acknowledged_at"]) == (DOWN.alert_id, SEEN.at)
    assert "2026-03-10 03:00:00 (recovered)" in shown.out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("show 01aa", 2, '"01aa" begins 2 ids; write more of it: 01aa0000-0001-'),
        ("show 99", 3, 'there is no alert "99"'),
        ("show %", 3, 'there is no alert "%"'),
        ("ack 99", 3, 'there is no alert "99"'),
        ("ack 01cc", 4, "no server runs on"),
        ("silence 01cc", 4, "no server runs on"),
        ("ack 019aaaaa-0000-7000-8000-000000000000", 4, "no server runs on"),
        ("silence 01cc --for soon", 2, '--for: "soon" is no duration'),
        ("silence 01cc --for 99999999999d", 2, '--for: "99999999999d" is too long'),
        ("silence 01cc --for 0", 2, "--for 0: no time to come"),
        ("silence 01cc --until 7d", 2, "--until 7d: no time to come"),
        ("silence 01cc --until 12", 2, "--until 12: no time to come"),
        ("silence 01cc --until never", 2, '--until: "never" is no moment'),
        ("silence 01cc --for 2h --end", 2, "one of --until, --for and --end is enough"),
        ("list --state shut", 2, '"shut" is no state'),
        ("list --kind discovry", 2, 'did you mean "discovery"?'),
        ("list --severity hi", 2, '"hi" is no severity'),
        ("list --provider nobody", 3, 'there is no provider "nobody"'),
    ],
)
def test_what_cannot_be_done_is_refused(here: Here, words: str, code: int, told: str) -> None:
    answer = here(words)

    assert (answer.code, answer.out) == (code, "")
    assert told in answer.err


def test_without_a_catalogue_it_says_so(tmp_path: Path) -> None:
    assert modelog("alerts", "list", cwd=tmp_path).code == 4
    assert modelog("alerts", "ack", "01aa", cwd=tmp_path).code == 4


def test_an_id_is_shortened_to_what_no_other_one_has() -> None:
    ids = ["01aa0000-0001", "01aa0000-0002", "01bb0000-0001", "02"]

    assert shortened(ids) == {
        "01aa0000-0001": "01aa0000-0001",
        "01aa0000-0002": "01aa0000-0002",
        "01bb0000-0001": "01bb0000",
        "02": "02",
    }
    assert shortened([]) == {}
