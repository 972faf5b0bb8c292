"""Who is to be told, as it is configured: what each wants, and how it is reached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from services.calls.call import Client, call
from services.clock import Clock
from services.health_lists import rate_of
from services.keys import KeyUnavailable, Secret, describe, resolve
from services.notice_settings import Notify, Target, Webhook
from services.notifier.box import Change, Rules
from services.notifier.notice import NotDelivered, Notice, key, message, notice, signed
from services.providers import Request

SECONDS = 15.0
"""How long a webhook has to answer. Source: Standard Webhooks, 15 to 30 s."""
CONNECT_SECONDS = 5.0
ANSWER_BYTES = 1_048_576

Deliver = Callable[[Secret, Notice], Awaitable[None]]


class Destination(NamedTuple):
    """One that is told: *send* raises NotDelivered; *single*: one change at a time."""

    name: str
    rules: Rules
    single: bool
    send: Callable[[Sequence[Change]], Awaitable[None]]


def destinations(
    notify: Notify, *, client: Client, clock: Clock, deliver: Deliver
) -> dict[str, Destination]:
    """Return all that *notify* names, by the key of their box."""
    found = {f"target_{one.name}": _target(one, notify, deliver) for one in notify.targets}
    found |= {
        f"webhook_{one.name}": _webhook(one, notify, client, clock) for one in notify.webhooks
    }
    return found


def _target(target: Target, notify: Notify, deliver: Deliver) -> Destination:
    limit, span = rate_of(notify.rate_limit) or (0, 1.0)
    rules = Rules(
        severity=target.severity,
        providers=frozenset(target.providers),
        group=round(notify.group * 1000),
        limit=limit,
        span=round(span * 1000),
        reminders=notify.reminders,
    )

    async def send(changes: Sequence[Change]) -> None:
        await deliver(await _secret(target.url, "url"), notice(changes))

    return Destination(target.name, rules, single=False, send=send)


def _webhook(webhook: Webhook, notify: Notify, client: Client, clock: Clock) -> Destination:
    rules = Rules(severity=webhook.severity, group=round(notify.group * 1000), reminders=False)

    async def send(changes: Sequence[Change]) -> None:
        for change in changes:
            await _post(webhook, change, client, clock)

    return Destination(webhook.name, rules, single=True, send=send)


async def _post(webhook: Webhook, change: Change, client: Client, clock: Clock) -> None:
    url = await _secret(webhook.url, "url")
    secret = await _secret(webhook.secret, "secret")
    body = message(change)
    # real time, also in the demo: receivers refuse what is signed at another
    headers = signed(body, id=change.id, timestamp=round(Clock().unix()), key=key(secret.reveal()))
    outcome = await call(
        client,
        Request(url.reveal(), "POST", headers, body),
        timeout=SECONDS,
        connect_timeout=CONNECT_SECONDS,
        max_bytes=ANSWER_BYTES,
        secrets=[secret] if isinstance(webhook.url, str) else [secret, url],
        clock=clock,
    )
    if outcome.class_ != "ok":
        raise NotDelivered(outcome.message or outcome.class_)


async def _secret(given: str | Mapping[str, Any], what: str) -> Secret:
    if isinstance(given, str):
        return Secret(given)
    try:
        found = await resolve(given)
    except KeyUnavailable as error:
        raise NotDelivered(f"{what}: {error}") from error
    if found is None:
        raise NotDelivered(f"{what}: nothing in {describe(given)}")
    return found
