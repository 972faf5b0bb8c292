"""One provider's chart kept in step with the log: read when it has to be, written once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from events.decide.providers import Settings
from events.health import CheckCompleted, HealthEvent, HealthStatusChanged
from services import clock as clocks
from services.clock import Pinned
from services.health_monitor.chart import Chart
from services.health_monitor.desk import Office
from services.jetstream.append import Fenced, SequenceConflict
from services.logs import say

RACES = 5


class Diary:
    """What is known of one provider, and the way of its facts to the log.

    `chart` is None where the log has to be read; `last` is the last cycle.
    """

    def __init__(
        self,
        settings: Settings,
        office: Office,
        pinned: Pinned,
        *,
        critical: bool,
        read: Callable[[Chart], None],
    ) -> None:
        """Nothing is read yet; *read* is told of each chart that is."""
        self.chart: Chart | None = None
        self.last: CheckCompleted | None = None
        self._settings = settings
        self._office = office
        self._pinned = pinned
        self._critical = critical
        self._read = read

    async def known(self, *, anew: bool = False) -> Chart:
        """Return the chart, read from the log where it has to be; make good what a crash owes.

        Raises SequenceConflict where others keep writing of the provider.
        """
        if self.chart is not None and not anew:
            return self.chart
        for _ in range(RACES):
            recalled = await self._office.recall(self._settings.name)
            chart, self.last = recalled.chart, recalled.last
            if self.chart is not None:
                chart.retiring, chart.certificate = self.chart.retiring, self.chart.certificate
            self.chart = chart
            self._read(chart)
            if recalled.owed is None:
                return chart
            try:
                await self._append(chart, [recalled.owed], recalled.owed.evidence.cycle_ids[0])
            except SequenceConflict:
                continue
        raise self._outrun()

    async def tell(
        self,
        facts: Sequence[HealthEvent],
        cycle_id: str,
        behind: asyncio.Future[None] | None = None,
        *,
        gone: str | None = None,
    ) -> None:
        """Append *facts* and the alerts that follow, *behind* the cycle that they come from.

        Where another monitor was faster, its log is read.
        """
        chart = await self.known()
        try:
            await self._append(chart, facts, cycle_id, behind, gone=gone)
        except SequenceConflict:
            say("read anew", provider=self._settings.name)
            await self.known(anew=True)
        except Fenced as error:  # whoever has the lease now decides on what it sees itself
            say("no lease", level=logging.WARNING, provider=chart.provider, error=str(error))
            self.chart = None

    async def end(self) -> None:
        """Say that the provider is watched no more, and resolve its alerts.

        Raises SequenceConflict where others keep writing of it.
        """
        for _ in range(RACES):
            chart = await self.known(anew=True)  # a cycle that was cancelled may have told more
            facts = chart.switch("removed", self._pinned.now())
            try:
                await self._append(chart, facts, clocks.new_id(), gone="removed")
            except SequenceConflict:
                continue
            return
        raise self._outrun()

    async def _append(
        self,
        chart: Chart,
        facts: Sequence[HealthEvent],
        cycle_id: str,
        behind: asyncio.Future[None] | None = None,
        *,
        gone: str | None = None,
    ) -> None:
        alerts = chart.alert(
            facts,
            self._pinned.now(),
            lambda position: clocks.derived_id(cycle_id, position),
            critical=self._critical,
            inhibited=lambda condition: self._office.inhibits(condition, self._settings),
            gone=gone,
        )
        if not facts and not alerts:
            return
        events = [*facts, *alerts]
        await self._office.append(chart.provider, events, chart.seqs, cycle_id, behind)
        chart.told(alerts)
        for fact in facts:
            _say(fact)

    def _outrun(self) -> SequenceConflict:
        name = self._settings.name
        return SequenceConflict(f"{name}: another monitor was faster {RACES} times in a row")


def _say(fact: HealthEvent) -> None:
    if isinstance(fact, HealthStatusChanged):
        say("status", provider=fact.provider, was=fact.from_, now=fact.to, cause=fact.cause)
