"""How models are shown: the columns of their tables, and all of one."""

from __future__ import annotations

from typing import Any

import msgspec

from events.record import TOKEN_PRICES, ModelRecord
from services.cli.sentences import changes, in_brief, moment, money, tokens, value
from services.cli.tables import Column, Row

STYLES = {"preview": "cyan", "deprecated": "yellow", "retired": "red", "missing": "magenta"}
CHANGE_STYLES = {
    "added": "green",
    "appeared": "green",
    "returned": "green",
    "missing": "magenta",
    "removed": "red",
    "vanished": "red",
}


def _state(row: Row) -> str:
    return "missing" if row["availability"] == "missing" else str(row["lifecycle_state"])


def _capabilities(row: Row) -> str:
    return " ".join(sorted(name for name, known in row["capabilities"].items() if known))


def _leaves(changed: list[dict[str, Any]] | None) -> str:
    return changes((leaf["path"], leaf.get("old"), leaf.get("new")) for leaf in changed or ())


def _version(row: Row) -> str:
    if row["change"] == "added":
        return in_brief(msgspec.convert(row["record"], ModelRecord))
    return _leaves(row["changed"])


LIST = (
    Column("PROVIDER", lambda row: row["provider"], elastic=True, style="cyan"),
    Column("MODEL", lambda row: row["id"], folded=True),
    Column("CONTEXT", lambda row: tokens(row["context_window"]), right=True),
    Column("IN $/M", lambda row: money(row["prices"].get("input")), right=True),
    Column("OUT $/M", lambda row: money(row["prices"].get("output")), right=True),
    Column("STATE", _state, style=lambda text: STYLES.get(text, "")),
    Column("CAPABILITIES", _capabilities, elastic=True, wide=True, style="dim"),
)
HISTORY = (
    Column("AT", lambda row: moment(row["at"]), style="dim"),
    Column("SEQ", lambda row: row["seq"], right=True),
    Column("PROVIDER", lambda row: row["provider"], style="cyan"),
    Column("CHANGE", lambda row: row["change"], style=lambda text: CHANGE_STYLES.get(text, "")),
    Column("WHAT", _version, folded=True),
)
DIFF = (
    Column("PROVIDER", lambda row: row["provider"], elastic=True, style="cyan"),
    Column("MODEL", lambda row: row["model_id"], folded=True),
    Column("CHANGE", lambda row: row["change"], style=lambda text: CHANGE_STYLES.get(text, "")),
    Column("WHAT", lambda row: _leaves(row["changed"]), folded=True),
)


def fields_of(row: Row) -> list[tuple[str, object]]:
    """Return what a person wants to know of a model, unknown things left out."""
    life = row["lifecycle"]
    return [
        ("provider", row["provider"]),
        ("id", row["id"]),
        ("name", row["name"] if row["name"] != row["id"] else None),
        ("owned by", row["owned_by"]),
        ("family", row["family"]),
        ("description", row["description"]),
        ("state", ", ".join(filter(None, [_state(row), _dates(life)]))),
        ("replacement", life.get("replacement")),
        ("created", row["created"]),
        ("knowledge", row["knowledge_cutoff"]),
        ("tokens", _windows(row)),
        ("takes", " ".join(row["input_modalities"])),
        ("gives", " ".join(row["output_modalities"])),
        ("can", _capabilities(row)),
        ("cannot", " ".join(sorted(k for k, known in row["capabilities"].items() if not known))),
        ("prices", ", ".join(_price(*price) for price in row["prices"].items())),
        ("aliases", " ".join(row["aliases"])),
        ("open weights", None if row["open_weights"] is None else value(row["open_weights"])),
        ("first seen", moment(row["first_seen_at"])),
        ("updated", f"{moment(row['updated_at'])}, at sequence {row['seq']}"),
        ("missing since", moment(row["missing_since"])),
        ("said by", " ".join(sorted(set(row["sources"].values())))),
    ]


def _dates(life: Row) -> str:
    told = {"deprecated": life.get("deprecated_on"), "retires": life.get("retires_on")}
    return ", ".join(f"{word} {day}" for word, day in told.items() if day)


def _windows(row: Row) -> str:
    named = {
        "context": row["context_window"],
        "input": row["max_input_tokens"],
        "output": row["max_output_tokens"],
    }
    return ", ".join(f"{name} {number:,}" for name, number in named.items() if number)


def _price(name: str, price: str) -> str:
    return f"{name} ${price}{'/M' if name in TOKEN_PRICES else ''}"
