"""A body becomes a page of rows, or an outcome that says why it is none."""

from __future__ import annotations

from events.decide.providers import Settings
from services.calls.call import Outcome
from services.calls.classify import GROUPS
from services.providers import Dialect, Page, Refused

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MOST_OBJECTS = 300_000
"""Of one page: a hundred bytes on the wire become thousands as a record."""
UNREADABLE = (ValueError, ArithmeticError, RecursionError, Refused)
"""What reading a body may raise: msgspec's errors, too, are ValueErrors, as are those of URLs."""


def decoded(dialect: Dialect, outcome: Outcome, url: str, settings: Settings) -> Page | Outcome:
    """Return the page that the body of *outcome*, read from *url*, holds.

    An outcome that is not ``ok`` comes back as it is, and one whose body is no page with the class
    and the message that say so. The type that the answer claims does not matter.
    """
    if outcome.class_ != "ok":
        return outcome
    body = outcome.body.removeprefix(BYTE_ORDER_MARK)  # some servers begin with one
    if not body.strip():
        return failed(outcome, "an empty body")
    if body.count(b"{") > MOST_OBJECTS:
        return failed(outcome, f"more than {MOST_OBJECTS:,} objects in one page")
    try:
        body.decode()  # the parser does not look at strings that no field takes
        return dialect.parse(body, url, settings)
    except Refused as refused:
        class_ = refused.class_ if refused.class_ in GROUPS else "invalid_response"
        return failed(outcome, f"HTTP {outcome.status}: {refused.message}", class_)
    except UnicodeDecodeError as error:
        return failed(outcome, f"no UTF-8 at byte {error.start}")
    except RecursionError:
        return failed(outcome, "JSON that is nested too deeply")
    except UNREADABLE as error:
        if body.lstrip().startswith(b"<"):
            return failed(outcome, "a page, not an answer of the API")
        return failed(outcome, str(error) or type(error).__name__)


def failed(outcome: Outcome, message: str, class_: str = "invalid_response") -> Outcome:
    """Return *outcome* as a failure of *class_*, for the reason *message*."""
    return outcome._replace(class_=class_, group=GROUPS[class_], message=message)
