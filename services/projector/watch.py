"""Looks after the file that serves: is it there, does the link lead to it, is its journal short."""

from __future__ import annotations

import asyncio
import logging

from projections.database import Generation
from projections.generations import JOURNAL, relink, size
from projections.upkeep import relieve
from services.logs import say
from services.projector.projecting import writing

LOOK_SECONDS = 1.0
LARGE_JOURNAL = 64 << 20
"""Bytes of a journal that is told of, and of again whenever it has doubled.

SQLite cannot shorten it while a reader holds its beginning: it then grows by all that is folded.
"""


async def watch(generation: Generation) -> None:
    """Return when *generation* is not the one to write any more: deleted, replaced or succeeded.

    A link that was deleted alone is made again.
    """
    journal = generation.path.with_name(generation.path.name + JOURNAL)
    told, changes = LARGE_JOURNAL, -1
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if generation.lost:
            say("deleted", level=logging.WARNING, file=generation.path)
            return
        if not generation.serves:
            if not relink(generation.link, generation.path):
                say("replaced", level=logging.WARNING, link=generation.link)
                return
            say("linked again", level=logging.WARNING, link=generation.link)
        quiet, changes = changes == generation.db.total_changes, generation.db.total_changes
        bytes_ = size(journal)
        with writing(generation):
            if bytes_ and quiet and relieve(generation.db):
                bytes_ = 0
        if bytes_ >= told:
            who = "a reader holds it; end its transaction"
            say("large journal", level=logging.WARNING, file=journal, bytes=bytes_, why=who)
            told = 2 * bytes_
        elif bytes_ < LARGE_JOURNAL:
            told = LARGE_JOURNAL
