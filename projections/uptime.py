"""How much of the time a provider was up: time is weighed, checks are not counted.

The time of a provider falls into pieces without gap or overlap: what its status says, overlaid by
*unknown* where nothing was seen, overlaid by *maintenance*. Before its first status it is inactive.

Source: health.md, section 9.
"""

from __future__ import annotations

from events.health import BLOCKED_CAUSES
from projections.latency import DAY, END

CLASSES = ("up", "degraded", "down", "blocked", "inactive", "unknown", "maintenance")
SPANS = {"1h": 1, "24h": 24, "7d": 7 * 24, "30d": 30 * 24, "90d": 90 * 24}
"""The spans of `provider_uptime`, in hours; all end at the newest `at` of the log."""
HOUR_MS = 3_600_000

_BLOCKED = ", ".join(f"'{cause}'" for cause in BLOCKED_CAUSES)
_LAST = 2**63 - 1
_INSTANT = "%Y-%m-%dT%H:%M:%fZ"


def millis(instant: str) -> str:
    """Return in SQL the milliseconds since 1970 of an expression that is an instant."""
    return f"(strftime('%s', {instant}) * 1000 + substr({instant}, 21, 3))"


def pieces(frame: str, providers: str) -> str:
    """Return in SQL the tables `frame` and `pieces`, one of which is (provider, class, at, until).

    *frame* has one row (since, till), instants between which all pieces lie; *providers* names
    those that they are of. Moments of pieces are milliseconds.
    """
    return f"""
  framed (since, till) AS ({frame}),
  frame (since, till, begins, ends) AS MATERIALIZED (
    SELECT since, till, {millis("since")}, {millis("till")} FROM framed
  ),
  wanted (provider) AS ({providers}),
  turns (provider, at, seq, class, unknown, maintenance) AS (
    SELECT provider, begins, 0, 'inactive', 0, 0 FROM wanted, frame
    UNION ALL SELECT provider, ends, {_LAST}, NULL, 0, 0 FROM wanted, frame
    UNION ALL SELECT provider, max({millis("effective_at")}, begins), seq,
      CASE
        WHEN status = 'active' THEN 'up'
        WHEN status <> 'error' THEN status
        WHEN cause IN ({_BLOCKED}) THEN 'blocked'
        ELSE 'down'
      END, 0, 0
    FROM frame, wanted JOIN provider_history USING (provider)
    WHERE effective_at < till AND (until IS NULL OR until > since)
    UNION ALL SELECT provider, max({millis("g.since")}, begins), seq, NULL, 1, 0
    FROM frame, wanted JOIN provider_gaps AS g USING (provider)
    WHERE g.since < till AND coalesce(g.until, till) > max(g.since, frame.since)
    UNION ALL SELECT provider, min({millis("coalesce(g.until, till)")}, ends), seq, NULL, -1, 0
    FROM frame, wanted JOIN provider_gaps AS g USING (provider)
    WHERE g.since < till AND coalesce(g.until, till) > max(g.since, frame.since)
    UNION ALL SELECT provider, max({millis("m.since")}, begins), seq, NULL, 0, 1
    FROM frame, wanted JOIN provider_maintenance AS m USING (provider)
    WHERE m.since < till AND m.until > max(m.since, frame.since)
    UNION ALL SELECT provider, min({millis("m.until")}, ends), seq, NULL, 0, -1
    FROM frame, wanted JOIN provider_maintenance AS m USING (provider)
    WHERE m.since < till AND m.until > max(m.since, frame.since)
  ),
  summed AS (
    SELECT provider, at, lead(at) OVER turn AS until, class, count(class) OVER turn AS segment,
      sum(unknown) OVER turn AS unknown, sum(maintenance) OVER turn AS maintenance
    FROM turns
    WINDOW turn AS (PARTITION BY provider ORDER BY at, seq ROWS UNBOUNDED PRECEDING)
  ),
  classed AS (
    SELECT provider, at, until,
      CASE
        WHEN maintenance > 0 THEN 'maintenance'
        WHEN unknown > 0 THEN 'unknown'
        ELSE max(class) OVER (PARTITION BY provider, segment)
      END AS class
    FROM summed
  ),
  pieces (provider, class, at, until) AS (
    SELECT provider, class, at, until FROM classed WHERE until > at
  )"""  # noqa: S608 - built of our own words


PIECES = f"""
WITH {pieces("SELECT ?1, ?2", "SELECT ?3")}
SELECT class, at, until FROM pieces ORDER BY at
"""  # noqa: S608 - built of our own words
"""The pieces of one provider: two instants and its name are given."""

_FRAME = f"""
    SELECT strftime('{_INSTANT}', at, '-{max(SPANS.values())} hours'), at
    FROM (SELECT {END} AS at) WHERE at IS NOT NULL
  """  # noqa: S608 - built of our own words
_SUMS = ", ".join(
    f"coalesce(sum(ms) FILTER (WHERE class = '{name}'), 0) AS {name}_ms" for name in CLASSES
)
_PIVOT = ",\n    ".join(
    f"max({column}) FILTER (WHERE span = '{span}') AS {column}_{span}"
    for span, column in (
        *(("24h", "uptime"), ("7d", "uptime"), ("30d", "uptime")),
        *(("24h", "coverage"), ("24h", "fully_healthy")),
    )
)

DDL = f"""
CREATE VIEW provider_uptime AS
WITH {pieces(_FRAME, "SELECT name FROM provider_settings")},
  spans (span, width) AS (
    VALUES {", ".join(f"('{span}', {hours * HOUR_MS})" for span, hours in SPANS.items())}
  ),
  within AS (
    SELECT provider, span, width, class, until - max(at, ends - width) AS ms
    FROM pieces, frame, spans WHERE until > ends - width
  ),
  sums AS (SELECT provider, span, width, {_SUMS} FROM within GROUP BY provider, span),
  known AS (SELECT *, up_ms + degraded_ms + down_ms AS known_ms FROM sums)
SELECT provider, span,
  CASE WHEN 2 * known_ms >= width THEN 1.0 * (up_ms + degraded_ms) / known_ms END AS uptime,
  CASE WHEN 2 * known_ms >= width THEN 1.0 * up_ms / known_ms END AS fully_healthy,
  1.0 * known_ms / width AS coverage, {", ".join(f"{name}_ms" for name in CLASSES)}
FROM known;
CREATE VIEW provider_health AS
WITH shares AS (
  SELECT provider,
    {_PIVOT}
  FROM provider_uptime GROUP BY provider
)
SELECT s.name AS provider, u.uptime_24h, u.uptime_7d, u.uptime_30d, u.coverage_24h,
  l.latency_p50_ms, l.latency_p95_ms, c.last_check_at,
  (SELECT count(*) FROM alerts AS a WHERE a.provider = s.name AND a.state = 'open') AS open_alerts,
  u.fully_healthy_24h, l.timeout_share, coalesce(l.blips, 0) AS blips_24h
FROM provider_settings AS s
LEFT JOIN shares AS u ON u.provider = s.name
LEFT JOIN provider_latency AS l ON l.provider = s.name
LEFT JOIN provider_checks AS c ON c.provider = s.name;
CREATE VIEW health_summary AS
WITH
  standing AS (
    SELECT name, stale, status,
      CASE
        WHEN status <> 'error' THEN status
        WHEN status_cause IN ({_BLOCKED}) THEN 'blocked'
        ELSE 'down'
      END AS standing
    FROM providers
  ),
  open AS (SELECT provider, severity FROM alerts WHERE state = 'open'),
  told AS (
    SELECT count(*) AS open_alerts,
      count(*) FILTER (WHERE severity = 'low') AS alerts_low,
      count(*) FILTER (WHERE severity = 'medium') AS alerts_medium,
      count(*) FILTER (WHERE severity = 'high') AS alerts_high,
      count(*) FILTER (WHERE severity = 'critical') AS alerts_critical
    FROM open
  ),
  taken AS (
    SELECT c.provider, 1.0 * sum(h.latency_total_ms) / sum(h.calls) AS latency_ms
    FROM provider_checks AS c
    CROSS JOIN check_hours AS h ON h.provider = c.provider AND h.hour >= {DAY}
    GROUP BY c.provider
  ),
  covered AS (
    SELECT avg(u.uptime) AS uptime, avg(t.latency_ms) AS latency_ms
    FROM provider_uptime AS u LEFT JOIN taken AS t ON t.provider = u.provider
    WHERE u.span = '24h' AND u.uptime IS NOT NULL
  ),
  totals AS (
    SELECT count(*) AS total,
      count(*) FILTER (WHERE standing = 'active') AS healthy,
      count(*) FILTER (WHERE standing = 'degraded') AS degraded,
      count(*) FILTER (WHERE standing = 'down') AS unhealthy,
      count(*) FILTER (WHERE standing = 'blocked') AS blocked,
      count(*) FILTER (WHERE standing = 'inactive') AS inactive,
      coalesce(sum(stale), 0) AS stale,
      count(*) FILTER (
        WHERE name IN (SELECT provider FROM open WHERE severity <> 'low')
      ) AS with_warnings
    FROM standing
  ),
  worst AS (
    SELECT status FROM standing
    ORDER BY instr('error degraded active inactive', status) LIMIT 1
  )
SELECT t.total, t.healthy, t.degraded, t.unhealthy, t.blocked, t.inactive, t.stale,
  t.with_warnings, a.open_alerts, a.alerts_low, a.alerts_medium, a.alerts_high, a.alerts_critical,
  (SELECT status FROM worst) AS worst_status, c.latency_ms AS latency_avg_ms,
  c.uptime AS uptime_avg,
  (SELECT max(last_check_at) FROM provider_checks
   WHERE provider IN (SELECT name FROM standing)) AS last_check_at
FROM totals AS t, told AS a, covered AS c;
"""  # noqa: S608 - built of our own words
