"""Models: what is offered, now or as of a moment, and how it came to be."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from events.record import CAPABILITIES, MODALITIES
from projections import Catalogue, ModelFilter
from services.cli.failures import ABSENT, FAILED, WRONG, Refusal
from services.cli.options import (
    AsJson,
    AsOf,
    ConfigFile,
    DataDir,
    Limit,
    catalogue,
    nearest,
    when,
    words,
)
from services.cli.output import note, write, write_array, write_object
from services.cli.sentences import changes, money, tokens, value
from services.cli.tables import Column, Row, write_record, write_table

LIFECYCLES = ("preview", "active", "deprecated", "retired")
AVAILABILITIES = ("listed", "missing")

Id = Annotated[str, typer.Argument(metavar="ID", help="A model's id, as in requests.")]
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="NAME", help="Of one provider.")
]
Providers = Annotated[
    list[str] | None, typer.Option("--provider", metavar="NAME", help="Of this provider; repeats.")
]
Capabilities = Annotated[
    list[str] | None,
    typer.Option("--capability", metavar="CAP", help="Known to have it; repeats, and all must be."),
]
Modalities = Annotated[
    list[str] | None,
    typer.Option("--modality", metavar="KIND", help="Takes or gives it; repeats, and all must be."),
]
MinContext = Annotated[
    str | None,
    typer.Option("--min-context", metavar="TOKENS", help="A window of so many: 128000, 128k, 1M."),
]
MaxInputPrice = Annotated[
    float | None,
    typer.Option("--max-input-price", metavar="USD", min=0, help="Per 1,000,000 tokens."),
]
LifecycleState = Annotated[
    list[str] | None,
    typer.Option("--lifecycle", metavar="STATE", help=f"One of {', '.join(LIFECYCLES)}; repeats."),
]
Availability = Annotated[
    str | None, typer.Option("--availability", metavar="STATE", help="`listed` or `missing`.")
]
Text = Annotated[str | None, typer.Option("--text", metavar="WORDS", help="Full text.")]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="COLUMN", help="By a column; with a `-` before it, descending."),
]

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
    Column("AT", lambda row: row["at"], style="dim"),
    Column("SEQ", lambda row: row["seq"], right=True),
    Column("PROVIDER", lambda row: row["provider"], style="cyan"),
    Column("CHANGE", lambda row: row["change"], style=lambda text: CHANGE_STYLES.get(text, "")),
    Column("WHAT", lambda row: _leaves(row["changed"]), folded=True),
)
DIFF = (
    Column("PROVIDER", lambda row: row["provider"], elastic=True, style="cyan"),
    Column("MODEL", lambda row: row["model_id"], folded=True),
    Column("CHANGE", lambda row: row["change"], style=lambda text: CHANGE_STYLES.get(text, "")),
    Column("WHAT", lambda row: _leaves(row["changed"]), folded=True),
)


def _leaves(changed: list[dict[str, Any]] | None) -> str:
    return changes((leaf["path"], leaf.get("old"), leaf.get("new")) for leaf in changed or ())


def list_(
    *,
    provider: Providers = None,
    capability: Capabilities = None,
    modality: Modalities = None,
    min_context: MinContext = None,
    max_input_price: MaxInputPrice = None,
    lifecycle: LifecycleState = None,
    availability: Availability = None,
    text: Text = None,
    sort: Sort = None,
    limit: Limit = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """List models.

    Ordered by provider and id. Prices are USD per 1,000,000 tokens.
    """
    wanted = ModelFilter(
        provider=tuple(provider or ()),
        capability=tuple(words(capability or (), CAPABILITIES, "capability")),
        modality=tuple(words(modality or (), MODALITIES, "modality")),
        min_context=_tokens(min_context),
        max_input_price=max_input_price,
        lifecycle=tuple(words(lifecycle or (), LIFECYCLES, "state of life")),
        availability=_availability(availability),
        text=text,
        sort=sort,
        limit=limit,
    )
    moment = when(as_of, "--as-of")
    with catalogue(config, data) as opened:
        found = [msgspec.to_builtins(model) for model in opened.search(wanted, as_of=moment)]
        if not found:
            for name in provider or ():
                _known_provider(opened, name)
    if as_json:
        write_array(found)
        return
    write_table(found, LIST, empty="no model is like that; ask for less")
    if found and limit is None:
        names = {row["provider"] for row in found}
        note(f"{len(found)} models of {len(names)} providers")


def search(
    text: Annotated[str, typer.Argument(metavar="WORDS", help="What to look for.")],
    *,
    provider: Providers = None,
    capability: Capabilities = None,
    modality: Modalities = None,
    min_context: MinContext = None,
    max_input_price: MaxInputPrice = None,
    lifecycle: LifecycleState = None,
    availability: Availability = None,
    sort: Sort = None,
    limit: Limit = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Search ids, names, families and descriptions.

    The same as `models list --text`.
    """
    list_(
        provider=provider,
        capability=capability,
        modality=modality,
        min_context=min_context,
        max_input_price=max_input_price,
        lifecycle=lifecycle,
        availability=availability,
        text=text,
        sort=sort,
        limit=limit,
        as_of=as_of,
        as_json=as_json,
        config=config,
        data=data,
    )


def show(
    id: Id,
    *,
    provider: Provider = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Show one model, of every provider that serves it.

    As JSON it is one object, that of the first provider; without --provider `others` holds the
    models of the other ones.
    """
    moment = when(as_of, "--as-of")
    with catalogue(config, data) as opened:
        found = [msgspec.to_builtins(one) for one in _of(opened, id, provider, moment)]
    if as_json:
        write_object(found[0] if provider else {**found[0], "others": found[1:]})
        return
    for place, row in enumerate(found):
        if place:
            write("\n")
        write_record(_fields(row))


def history(
    id: Id,
    *,
    provider: Provider = None,
    limit: Limit = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """List every version of a model.

    From the oldest to the newest; --limit keeps the newest ones.
    """
    with catalogue(config, data) as opened:
        found = [msgspec.to_builtins(one) for one in opened.history(id, provider)]
        if not found:
            raise _no_model(opened, id, provider)
    found = found[-limit:] if limit else found
    if as_json:
        write_array(found)
    else:
        write_table(found, HISTORY)


def diff(
    *,
    from_: Annotated[str, typer.Option("--from", metavar="TIME|SEQ", help="The earlier moment.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME|SEQ", help="The later one; default: now.")
    ] = None,
    provider: Provider = None,
    limit: Limit = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Compare the catalogue at two moments.

    What appeared, what vanished, and what changed with its old and new values.
    """
    earlier, later = when(from_, "--from"), when(to or "0s", "--to")
    with catalogue(config, data) as opened:
        found = [msgspec.to_builtins(one) for one in opened.diff(earlier, later)]
        if provider and not (found := [row for row in found if row["provider"] == provider]):
            _known_provider(opened, provider)
    if as_json:
        write_array(found[:limit])
    else:
        write_table(found[:limit], DIFF, empty="nothing differs")


def validate(
    id: Id,
    *,
    provider: Annotated[str, typer.Option("--provider", metavar="NAME", help="Its provider.")],
    require: Annotated[
        list[str], typer.Option("--require", metavar="CAP", help="A capability; repeats.")
    ],
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Ask whether a model has capabilities.

    Exit code 0 when each is known true, else 1: which of them are false, and which unknown.
    """
    required = words(require, CAPABILITIES, "capability")
    with catalogue(config, data) as opened:
        if opened.get(provider, id) is None:
            raise _no_model(opened, id, provider)
        lacking = opened.validate(provider, id, required)
        known = opened.capabilities(provider, id)
    if lacking:
        told = [f"{name} is {'false' if name in known else 'unknown'}" for name in lacking]
        raise Refusal(f"{provider} {id}: {', '.join(told)}", FAILED)
    write(f"{provider} {id}: {', '.join(required)}\n")


def _tokens(text: str | None) -> int | None:
    if text is None:
        return None
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "")
    try:
        return int(float(number) * {"": 1, "k": 1_000, "m": 1_000_000}[unit])
    except (ValueError, KeyError, OverflowError) as error:
        told = f'--min-context: "{text}" is no number of tokens; write 128000, 128k or 1M'
        raise Refusal(told, WRONG) from error


def _availability(text: str | None) -> str | None:
    return words([text], AVAILABILITIES, "availability")[0] if text is not None else None


def _of(
    opened: Catalogue, id: str, provider: str | None, moment: int | str | None
) -> list[msgspec.Struct]:
    names = [provider] if provider else sorted({one.provider for one in opened.history(id)})
    found = [one for name in names if (one := opened.get(name, id, as_of=moment)) is not None]
    if not found:
        raise _no_model(opened, id, provider)
    return list(found)


def _no_model(opened: Catalogue, id: str, provider: str | None) -> Refusal:
    """Return the refusal of an unknown model, with the nearest id where one is near."""
    if provider:
        _known_provider(opened, provider)
    of = f" of {provider}" if provider else ""
    ids = {
        model.id for model in opened.search(ModelFilter(provider=(provider,) if provider else ()))
    }
    hint = nearest(id, ids) if ids else "no model is known at all"
    hint = hint if hint.startswith("did") else "look for it with `modelog models search`"
    return Refusal(f'there is no model "{id}"{of}; {hint}', ABSENT)


def _known_provider(opened: Catalogue, name: str) -> None:
    if opened.provider(name) is None:
        names = [one.name for one in opened.providers()]
        raise Refusal(f'there is no provider "{name}"; {nearest(name, names)}', ABSENT)


def _fields(row: Row) -> list[tuple[str, object]]:
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
        ("prices", "\n".join(f"{name} ${price}" for name, price in row["prices"].items())),
        ("aliases", " ".join(row["aliases"])),
        ("open weights", None if row["open_weights"] is None else value(row["open_weights"])),
        ("first seen", row["first_seen_at"]),
        ("updated", f"{row['updated_at']}, at sequence {row['seq']}"),
        ("missing since", row["missing_since"]),
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
