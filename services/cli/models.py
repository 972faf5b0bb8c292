"""Models: what is offered, now or as of a moment, and how it came to be."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from events.record import CAPABILITIES
from projections import ModelFilter
from services.cli.catalogue import catalogue, check_provider, check_reached, no_model
from services.cli.failures import FAILED, Refusal
from services.cli.filters import (
    AnyCapability,
    Availability,
    Capabilities,
    LifecycleState,
    MaxInputPrice,
    MinContext,
    Modality,
    Offset,
    Sort,
    Text,
    wanted,
)
from services.cli.options import AsJson, AsOf, ConfigFile, DataDir, Limit, Provider, at, when, words
from services.cli.output import note, write, write_array, write_object
from services.cli.sentences import counted
from services.cli.tables import write_record, write_table
from services.cli.views import DIFF, HISTORY, LIST, fields_of

Id = Annotated[str, typer.Argument(metavar="ID", help="A model's id, as in requests.")]


def list_(
    *,
    provider: Provider = None,
    capability: Capabilities = None,
    any_capability: AnyCapability = None,
    modality: Modality = None,
    min_context: MinContext = None,
    max_input_price: MaxInputPrice = None,
    lifecycle: LifecycleState = None,
    availability: Availability = None,
    text: Text = None,
    sort: Sort = None,
    limit: Limit = None,
    offset: Offset = 0,
    as_of: AsOf = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """List models.

    Ordered by provider and id; a table of what was searched for begins with what fits best. Prices
    are USD per 1,000,000 tokens.
    """
    asked = wanted(
        provider=provider,
        capability=capability,
        any_capability=any_capability,
        modality=modality,
        min_context=min_context,
        max_input_price=max_input_price,
        lifecycle=lifecycle,
        availability=availability,
        text=text,
        sort=sort,
        limit=limit,
        offset=offset,
    )
    moment = when(as_of, "--as-of")
    with catalogue(config, data) as opened:
        check_reached(opened, moment, "--as-of")
        found = [msgspec.to_builtins(model) for model in opened.search(asked, as_of=moment)]
        if provider is not None and not found:
            check_provider(opened, provider)
    if as_json:
        if not sort:
            found.sort(key=lambda row: (row["provider"], row["id"]))
        write_array(found)
        return
    write_table(found, LIST, empty="no model is like that; ask for less")
    if found and limit is None and not offset:
        names = {row["provider"] for row in found}
        note(f"{counted(len(found), 'model')} of {counted(len(names), 'provider')}")


def search(
    text: Annotated[str, typer.Argument(metavar="WORDS", help="What to look for.")],
    *,
    provider: Provider = None,
    capability: Capabilities = None,
    any_capability: AnyCapability = None,
    modality: Modality = None,
    min_context: MinContext = None,
    max_input_price: MaxInputPrice = None,
    lifecycle: LifecycleState = None,
    availability: Availability = None,
    sort: Sort = None,
    limit: Limit = None,
    offset: Offset = 0,
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
        any_capability=any_capability,
        modality=modality,
        min_context=min_context,
        max_input_price=max_input_price,
        lifecycle=lifecycle,
        availability=availability,
        text=text,
        sort=sort,
        limit=limit,
        offset=offset,
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
        check_reached(opened, moment, "--as-of")
        this = ModelFilter(id=id, provider=provider)
        found = [msgspec.to_builtins(one) for one in opened.search(this, as_of=moment)]
        if not found:
            raise no_model(opened, id, provider)
    if as_json:
        write_object(found[0] if provider else {**found[0], "others": found[1:]})
        return
    for place, row in enumerate(found):
        if place:
            write("\n")
        write_record(fields_of(row))


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
            raise no_model(opened, id, provider)
    if limit is not None:
        newest = sorted(row["seq"] for row in found)[-limit:]
        found = [row for row in found if row["seq"] in newest]
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
    earlier, later = at(from_, "--from"), at(to or "0s", "--to")
    with catalogue(config, data) as opened:
        for moment, option in ((earlier, "--from"), (later, "--to")):
            check_reached(opened, moment, option)
        found = [msgspec.to_builtins(one) for one in opened.diff(earlier, later)]
        if provider and not (found := [row for row in found if row["provider"] == provider]):
            check_provider(opened, provider)
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
            raise no_model(opened, id, provider)
        lacking = opened.validate(provider, id, required)
    if lacking:
        told = (
            f"{name} is {'unknown' if known is None else 'false'}"
            for name, known in lacking.items()
        )
        raise Refusal(f"{provider} {id}: {', '.join(told)}", FAILED)
    write(f"{provider} {id}: {', '.join(required)}\n")
