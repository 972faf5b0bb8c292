"""What can go wrong with a provider, by script.

    simulator.script("openai", [faults.refuse()] * 3 + [faults.ok, faults.status(503)])
    simulator.script("openai", cycle([faults.status(500), faults.ok]))  # for ever, in turns
    simulator.script("openai", faults.hang())                           # every request
    simulator.script("openai", faults.ok)                               # all is well again

A step of a script is a fault, a function of the request and the right answer (so that tests write
their own), or a handshake, which concerns a connection before its first request: `refuse`,
`certificate`. `script` takes one step, which then stands for every request, or an iterable of
steps, one a request, after which all is well; it replaces what was said before. Finer, and adding
to what there is, on a site's `faults`:

    site.faults.next(step, times=2, when=second_page)   # the next n requests (for which ... holds)
    site.faults.always(step, when=...)                  # until site.faults.clear()
    site.faults.between(start, end, steps)              # on the simulator's modelled clock

Of several, those of `script` and `next` go first, then `always`, then `between`. Two faults are no
steps: `site.refuse()` refuses connections for real until `site.accept()`; and that a name is not
found is for the client's resolver to say.
"""

from __future__ import annotations

from collections.abc import Callable

from services.demo.exchange import Fault, Handshake, Step
from services.demo.refusals import (
    RetryAfter,
    no_credit,
    no_such_key,
    page,
    rate_limited,
    redirect,
    redirect_loop,
    redirect_to_http,
    says,
    status,
)
from services.demo.sending import (
    certificate,
    delay,
    delivered,
    drip,
    garbage,
    hang,
    hang_after_head,
    hang_up,
    ok,
    refuse,
    reset,
    truncate,
    wrong_length,
)
from services.demo.spoiled import (
    bad_gzip,
    bomb,
    cut_list,
    empty_body,
    empty_list,
    half_list,
    huge,
    odd_encoding,
    refused_inside,
    repeated_cursor,
    shrunken_list,
    wrong_schema,
)

__all__ = [
    "FAULTS",
    "Fault",
    "Handshake",
    "RetryAfter",
    "Step",
    "bad_gzip",
    "bomb",
    "certificate",
    "cut_list",
    "delay",
    "delivered",
    "drip",
    "empty_body",
    "empty_list",
    "garbage",
    "half_list",
    "hang",
    "hang_after_head",
    "hang_up",
    "huge",
    "no_credit",
    "no_such_key",
    "odd_encoding",
    "ok",
    "page",
    "rate_limited",
    "redirect",
    "redirect_loop",
    "redirect_to_http",
    "refuse",
    "refused_inside",
    "repeated_cursor",
    "reset",
    "says",
    "shrunken_list",
    "status",
    "truncate",
    "wrong_length",
    "wrong_schema",
]

FAULTS: dict[str, Callable[[], Step]] = {
    "refuse": refuse,
    "hang": hang,
    "hang after head": hang_after_head,
    "reset": reset,
    "hang up": hang_up,
    "delay": lambda: delay(0.05),
    "drip": drip,
    "truncate": truncate,
    "wrong length": wrong_length,
    "garbage": garbage,
    "400": lambda: status(400, "bad request", type="invalid_request_error"),
    "400 key": no_such_key,
    "401": lambda: status(401, "invalid api key", type="authentication_error"),
    "402": lambda: status(402, "insufficient balance", type="insufficient_quota"),
    "403": lambda: status(403, "forbidden", type="permission_error"),
    "403 page": lambda: page(403, "Attention Required!"),
    "404": lambda: status(404, "not found", type="not_found"),
    "405": lambda: status(405, "method not allowed"),
    "407": lambda: page(407, "Proxy Authentication Required"),
    "408": lambda: status(408, "request timeout"),
    "410": lambda: status(410, "gone", type="gone"),
    "412": lambda: status(412, "account suspended", type="account_suspended"),
    "422": lambda: status(422, "unprocessable", type="invalid_request_error"),
    "425": lambda: status(425, "too early"),
    "429": rate_limited,
    "429 quota": no_credit,
    "451": lambda: page(451, "Unavailable For Legal Reasons"),
    "500": lambda: status(500, "internal error", type="server_error"),
    "501": lambda: status(501, "not implemented"),
    "502": lambda: page(502, "502 Bad Gateway"),
    "503": lambda: status(503, "service unavailable", type="unavailable"),
    "504": lambda: page(504, "504 Gateway Time-out"),
    "505": lambda: status(505, "HTTP version not supported"),
    "520": lambda: page(520, "520: Web server is returning an unknown error"),
    "529": lambda: status(529, "overloaded", type="overloaded_error"),
    "page": page,
    "empty body": empty_body,
    "empty list": empty_list,
    "half list": half_list,
    "cut list": cut_list,
    "wrong schema": wrong_schema,
    "bad gzip": bad_gzip,
    "huge": huge,
    "error with 200": refused_inside,
    "repeated cursor": repeated_cursor,
    "redirect loop": redirect_loop,
}
"""Every fault that needs no argument, by name: for tables of tests and for the data file."""
