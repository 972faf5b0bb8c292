"""What one observation costs, from the bytes to the decision: decode, map, compare.

    python benchmarks/decide.py

A list of 500 rows of each dialect family, made of the rows in tests/answers: seen for the first
time, again with the same body, again with the same rows in another body, and with one row in a
hundred changed. In microseconds a row, beside msgspec's JSON decoder making plain
objects of the same body.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from events.base import ProviderName
from events.decide.known import NOTHING, Known, fold
from events.decide.models import Policy, decide
from events.observation import Observation
from services.calls.rows import merged
from services.providers import DIALECTS
from services.providers.recall import Recall
from tests.support.answers import case

ROWS = 500
ROUNDS = 15
AT = "2026-03-01T00:00:00.000Z"


class Family(NamedTuple):
    """Where the rows of a dialect are in its answer, and what identifies one."""

    answer: str
    rows: str | None
    id: str


FAMILIES = (
    Family("openai", "data", "id"),
    Family("groq", "data", "id"),
    Family("openrouter", "data", "id"),
    Family("anthropic", "data", "id"),
    Family("gemini", "models", "name"),
    Family("mistral", "data", "id"),
    Family("cohere", "models", "name"),
    Family("together", None, "id"),
    Family("deepinfra", "data", "id"),
    Family("vercel", "data", "id"),
    Family("bedrock", "modelSummaries", "modelId"),
    Family("elevenlabs", None, "model_id"),
)


def body(family: Family, *, changed: int = 0, order: int = 0) -> bytes:
    """Return a list of `ROWS` rows; *changed* of them have another id, *order* turns them round."""
    document = json.loads(bytes(case(family.answer).answer))
    listed = document if family.rows is None else document[family.rows]
    sample = [row for row in listed if readable(family, row)]
    rows: list[dict[str, Any]] = []
    for number in range(ROWS):
        row = dict(sample[number % len(sample)])
        version = "-changed" if number < changed else ""
        row[family.id] = f"{row[family.id]}-{number}{version}"
        rows.append(row)
    rows = rows[order:] + rows[:order]
    whole = rows if family.rows is None else {**document, family.rows: rows}
    return json.dumps(whole, separators=(",", ":")).encode()


def readable(family: Family, row: object) -> bool:
    """Tell whether *row* is one that a provider would send: the answers hold odd ones, too."""
    settings = case(family.answer).settings
    dialect = DIALECTS[settings.dialect]
    if not isinstance(row, dict) or not isinstance(row.get(family.id), str):
        return False
    longest = {**row, family.id: f"{row[family.id]}-{ROWS}-changed"}
    alone = json.dumps([longest] if family.rows is None else {family.rows: [longest]}).encode()
    return len(dialect.parse(alone, dialect.first(settings)[0], settings).rows) == 1


class Seen:
    """A provider as a refresher watches it, without its network and its log."""

    def __init__(self, family: Family) -> None:
        self._settings = case(family.answer).settings
        self._dialect = DIALECTS[self._settings.dialect]
        self._url = self._dialect.first(self._settings)[0]
        self._recall = Recall()
        self._policy = Policy(masked=self._dialect.masked)
        self._hash = ""
        self.known: Known = NOTHING

    def see(self, read: bytes) -> int:
        """Take *read* in, as a run does; return how many facts it makes."""
        found = hashlib.sha256(read).hexdigest()
        if found == self._hash:
            return 0
        with self._recall.list():
            page = self._dialect.parse(read, self._url, self._settings)
        records = merged(row.record for row in page.rows)
        observation = Observation(ProviderName(self._settings.name), AT, records)
        decision = decide(self.known, observation, self._policy, AT)
        self._hash = found
        if decision.events:
            self.known = fold(self.known, decision.events)
        return len(decision.events)


def best(call: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Return the microseconds a row of the fastest of `ROUNDS` calls."""
    taken = []
    for _ in range(ROUNDS):
        before()
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken) / ROWS * 1e6


def measured(family: Family) -> list[float]:
    """Return the microseconds a row: the floor, first, same body, same rows, one in a hundred."""
    whole, turned = body(family), body(family, order=1)
    changed = body(family, changed=ROWS // 100)
    seen = Seen(family)
    fresh: list[Seen] = []

    def anew() -> None:
        fresh.append(Seen(family))
        fresh[-1].see(whole)

    bodies = [whole, turned]
    floor = best(lambda: msgspec.json.decode(whole))
    first = best(lambda: Seen(family).see(whole))
    seen.see(whole)
    same = best(lambda: seen.see(whole))
    rows = best(lambda: seen.see(bodies[0]), bodies.reverse)
    fewer = best(lambda: fresh[-1].see(changed), anew)
    return [floor, first, same, rows, fewer]


def main() -> None:
    """Print the table."""
    print(f"{'dialect':19}   floor   first    body    rows     1 %   us a row")
    for family in FAMILIES:
        figures = measured(family)
        told = " ".join(f"{figure:7.2f}" for figure in figures)
        name = case(family.answer).settings.dialect
        print(f"{name:19} {told}   rows: {figures[3] / figures[0]:4.1f} x the floor")
    print("bars: an unchanged body under 2 us a row (1 ms in all); unchanged rows at most 6 x the")
    print("floor or 5 us a row, whichever is more")


if __name__ == "__main__":
    main()
