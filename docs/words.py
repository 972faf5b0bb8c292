"""The words of the reference that the code does not say: introductions, meanings, questions."""

from __future__ import annotations

EVENTS = """\
What can happen, {count} types of it. A payload is one JSON object, whose `type` names the event
and whose `at` is the moment at which modelog saw it (`YYYY-MM-DDTHH:MM:SS.mmmZ`). Pass over
fields that you do not know: a field added later has a default, and the meaning of a type never
changes. `modelog schema` prints the same as JSON Schema and AsyncAPI, and `events.decode` reads
any payload.

Facts (`model.*`, `capability.*`, `provider.*`, `health.*`, `alert.*`) are stored in the stream
`MODELOG` for ever, the others in `MODELOG_AUDIT` for a time. Subscribe to the public
subjects below; the streams store `log.…` and `audit.…` in their place. A token keeps letters,
digits, `_` and `-`; each other byte of its UTF-8 form is `=XX`. What surrounds a payload, by an
example:"""
COMMAND_LINE = """\
stdout is the answer; progress, log and errors go to stderr. A TIME is RFC 3339, a date, or a
span back from now (`7d`), in UTC where no zone is given; a SEQ is a sequence of the stream
`MODELOG`.

Exit codes: 0 done; 1 failed, or the answer is no; 2 wrong usage or configuration; 3 the
asked-for thing does not exist; 4 the server or the catalogue cannot be reached; 130 interrupted."""
SETTINGS = """\
No file is needed. One is taken from `--config FILE`, else `$MODELOG_CONFIG`, else `modelog.toml`
in the working directory. `--data` wins over `$MODELOG_DATA`, and that over `data`;
`$MODELOG_NATS_URL` wins over `nats.url`. Every mistake is reported at once, a line each.
`modelog status --config` shows what is in effect.

A duration is written `"500ms"`, `"30s"`, `"5m"`, `"1h30m"` or `"400d"`. A reference to a secret
is `{ env = "NAME" }`, `{ file = "PATH" }` or `{ command = ["PROGRAM", "…"] }`; a literal one is
refused."""
CATALOGUE = """\
`<data>/catalogue.db` leads to the generation that serves: a SQLite file in WAL mode, to be
opened read-only by anything (`modelog query`, `sqlite3`, `sqlite-utils`, Datasette, pandas).
Delete it, and it is replayed from the log. Instants are TEXT, `YYYY-MM-DDTHH:MM:SS.mmmZ`, and
sort as such; booleans are 0 or 1; columns that hold JSON are TEXT. Prices are USD, for tokens
per 1,000,000."""
HEALTH_YET = """\
For every provider, and key by key in its `health`. The defaults are those of an interval of one
minute; most of them follow it. What they mean: [health](health.md)."""

MEANINGS = {
    "data": "the data directory",
    "nats.url": "the server, several separated by commas; unset: `modelog up` runs its own",
    "nats.monitor_url": "the server's monitoring, by which `init` proves that writes are synced",
    "nats.credentials": "the text or path of a `.creds` file or an NKey seed; "
    "`{role}` in it is the role",
    "nats.replicas": "copies of each stream, in a cluster",
    "nats.audit_max_age": "how long operations are kept; facts are kept for ever",
    "refresh.interval": "time between two refreshes of a provider",
    "refresh.timeout": "limit of one attempt with all its pages; at most the interval",
    "refresh.max_concurrency": "requests on their way at the same time, to all providers",
    "refresh.attempts": "attempts of one run",
    "refresh.base_delay": "the first wait between attempts, before jitter",
    "refresh.max_delay": "the longest of these waits; not below `base_delay`",
    "refresh.multiplier": "by which the wait grows",
    "refresh.retry_on": "classes of failure that are tried again",
    "refresh.max_response_bytes": "limit of one page, after decompression",
    "refresh.removal_scans": "complete lists in a row without a model, before it is removed",
    "refresh.removal_hold": "time without a model, before it is removed",
    "refresh.shrink_guard": "share of its models that a list may lose and be believed; five always",
    "enrichment.sources": "who may fill what a provider leaves unknown; `[]` turns it off",
    "enrichment.url": "where models.dev is asked",
    "enrichment.interval": "time between two questions to it",
    "notify.group": "time in which changes come together, to be told in one notice",
    "notify.rate_limit": "notices to one target in a span; what waits is told in the next one",
    "notify.reminders": "whether what stays open is told again: after 4 h, 8 h, 16 h, each 24 h",
    "notify.targets": "where people look; `url` is an address of apprise, or a reference to one",
    "notify.webhooks": "programs that take signed messages; `secret` is a reference",
    "providers.name": "`a`-`z`, `0`-`9`, `-` and `_`, at most 64; a built-in one's is enough",
    "providers.dialect": "the shape of its answers",
    "providers.base_url": "its address, up to the list",
    "providers.api_key": "its key",
    "providers.credentials": "what it needs beside or instead of a key",
    "providers.options": "what its dialect or its address takes, such as a region",
    "providers.enabled": "whether it is asked",
    "providers.priority": "the larger, the earlier it is asked where several are due",
    "providers.headers": "headers of every request to it",
    "providers.refresh": "the keys of `[refresh]`, for this provider",
    "providers.health": "the keys of `[health]`, for this provider",
    "health.enabled": "whether a provider is checked",
    "health.interval": "time between two cycles of checks",
    "health.confirm_interval": "time to the next cycle while a change awaits its confirmation",
    "health.timeout": "limit of one attempt of a check",
    "health.connect_timeout": "limit of the connection within it",
    "health.slow_after": "from which an answer counts as slow",
    "health.cycle_deadline": "limit of all checks of a cycle",
    "health.check_retries": "further attempts of a check that failed",
    "health.failure_threshold": "failures in a row that make an error",
    "health.recovery_threshold": "successes in a row that end one",
    "health.unhealthy_threshold": "share of failures in the window that makes an error",
    "health.degraded_threshold": "share of failures in the window that degrades",
    "health.window": "time over which shares are taken",
    "health.min_samples": "verdicts that a share needs",
    "health.partial_threshold": "partial failures in a row that degrade",
    "health.block_threshold": "refusals in a row, of our key or quota, that count",
    "health.throttle_threshold": "throttled cycles in a row that count",
    "health.throttle_hold": "how long throttling counts",
    "health.flap_high": "restlessness, in per cent, from which a provider flaps",
    "health.flap_low": "restlessness below which it no longer does",
    "health.relapse_window": "time in which another error is a relapse",
    "health.relapse_cap": "successes that a recovery after relapses needs at most",
    "health.blocked_interval": "interval while our key or quota is refused",
    "health.down_slow_after": "time in error after which checks slow down",
    "health.down_interval": "interval from then on",
    "health.endpoints": "paths that are checked besides the list",
    "health.checks": "checks with settings of their own",
    "health.critical": "whether an error of the provider is critical",
    "health.depends_on": "providers without which this one cannot work",
    "health.maintenance": "windows in which nobody is told",
    "health.max_concurrency": "checks at the same time",
    "health.per_host": "checks of one host at the same time",
    "health.rate_limit": "calls of checks in a span, for each provider",
    "health.stale_factor": "intervals without a verdict, after which a status is stale",
    "health.witnesses": "addresses that tell whether it is our own network",
    "nats": "a section, below",
    "refresh": "a section, below",
    "health": "a section, below",
    "enrichment": "a section, below",
    "notify": "a section, below",
    "providers": "`[[providers]]` tables, below",
}

DEFAULTS = {
    "data": '`".modelog"`',
    "refresh.timeout": '`"30s"`, or the interval where that is shorter',
    "refresh.max_delay": '`"30s"`, or `base_delay` where that is longer',
    "refresh.removal_scans": "`3`; `1` for a local server",
    "refresh.removal_hold": '`"1d"`; `"0"` for a local server',
    "refresh.shrink_guard": "`0.2`; a local server's list is always believed",
    "providers.name": "required",
    "providers.dialect": "the built-in one's",
    "providers.base_url": "the built-in one's",
    "providers.api_key": "the built-in one's variables",
    "providers.credentials": "the built-in one's variables",
    "providers.options": "the built-in one's variables",
    "providers.enabled": "`true`",
    "providers.priority": "`0`",
    "providers.headers": "none",
    "providers.refresh": "`[refresh]`",
    "providers.health": "`[health]`",
    "providers": "without a file: those whose key is in the environment",
}
"""Defaults that are no field of a struct."""

ROWS = {
    "providers": "a registered provider, with what its last refresh came to",
    "models": "a model that is listed, or missing and not yet removed; `traits`: bits for filters",
    "model_capabilities": "a capability that is known true",
    "model_history": "one version of a model, `[seq, until_seq)`",
    "refreshes": "one run of a refresh; its outcome is `started` while it is on its way",
    "moments": "a moment at which the log went on: the running maximum of `at`",
    "models_fts": "a model's words, for full text; ask by `models_fts MATCH 'qwen coder'`",
    "event_unknown": "an event of a newer version, kept raw",
    "checkpoint": "how far a stream is folded",
    "provider_settings": "the settings of a registered provider; behind the view `providers`",
    "provider_refreshes": "the last run of a provider; behind the view `providers`",
    "provider_health": "a provider's figures, up to the newest event: shares by time, null below "
    "half coverage; latency of successful list calls within 24 hours",
    "health_summary": "all providers together; `unhealthy` are down, `blocked` refuse us",
    "provider_history": "a status of a provider, from `effective_at` `until` the next",
    "checks": "a cycle of a provider's checks; of 48 hours, or the newest 100 of a provider",
    "alerts": "an alert, open or past",
    "provider_uptime": "how a provider's time was spent in a span that ends at the newest event",
    "provider_latency": "how long the successful list calls of a provider took, within 24 hours",
    "check_hours": "an hour of a provider's cycles, for 400 days: verdicts, failures that made no "
    "error (`blips`), and calls by bucket of latency (`i`: `2 * 1.02^i / 2.02` ms)",
    "provider_gaps": "a time in which nothing was known of a provider's health",
    "provider_maintenance": "a window of maintenance that has begun; `until` it ended or will end",
    "provider_status": "the status of a provider now; behind the view `providers`",
    "provider_checks": "the last cycle of a provider; behind the view `provider_health`",
}
"""One row of each table or view is this; those that people ask come first."""

QUERIES = {
    "What can see and call tools, and costs least?": """\
SELECT m.provider, m.id, m.price_input, m.context_window
FROM models AS m
JOIN model_capabilities AS v ON v.provider = m.provider AND v.model_id = m.id
JOIN model_capabilities AS t ON t.provider = m.provider AND t.model_id = m.id
WHERE v.capability = 'vision' AND t.capability = 'tools' AND m.price_input IS NOT NULL
ORDER BY m.price_input LIMIT 10""",
    "Which prices changed, and when?": """\
SELECT h.at, h.provider, h.model_id, c.value ->> 'path' AS price,
  c.value ->> 'old' AS was, c.value ->> 'new' AS is_now
FROM model_history AS h, json_each(h.changed) AS c
WHERE h.change = 'updated' AND c.value ->> 'path' LIKE 'prices.%'
ORDER BY h.seq DESC LIMIT 10""",
    "What was offered on the first of March?": """\
SELECT h.provider, h.model_id, h.record ->> '$.prices.input' AS input
FROM model_history AS h,
  (SELECT max(seq) AS seq FROM moments WHERE at <= '2026-03-01T00:00:00.000Z') AS then_
WHERE h.seq <= then_.seq AND (h.until_seq IS NULL OR h.until_seq > then_.seq)
  AND h.change <> 'removed'
ORDER BY h.provider, h.model_id""",
}
