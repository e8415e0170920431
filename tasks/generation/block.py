"""One block of people with everything they did, from random numbers to Arrow batches.

A block depends on the settings and its number alone; that is what makes rows independent of threads and chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lake.settings import GenerateSettings
from lake.table import Table
from lake.tables.bronze import COMPANY
from tasks.generation import company
from tasks.generation.billing import draw_billing
from tasks.generation.columns import NULL, Rows, to_arrow
from tasks.generation.dirt import Tally, first_number, soil
from tasks.generation.draws import Draws, Stream
from tasks.generation.experiments import experiment_rows
from tasks.generation.marketing import spend_rows, static_rows
from tasks.generation.members import draw_members
from tasks.generation.people import BLOCK_PEOPLE, draw_people, user_rows
from tasks.generation.seasons import Calendar
from tasks.generation.support import Requests, draw_free_requests, ticket_rows
from tasks.generation.visits import draw_visits

_BY_NAME: dict[str, Table] = {table.name: table for table in COMPANY}
# Marketing has no people; its dirt needs a block of its own.
_MARKETING_BLOCK = 0


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one table from one block, as batches: delivered in time, and late."""

    table: Table
    in_time: pa.RecordBatch
    late: pa.RecordBatch
    tally: Tally


class History:
    """The whole company under one set of settings.

    Args:
        settings: Seed, scale, start, days and share of dirt; chunk and threads play no part.
    """

    def __init__(self, settings: GenerateSettings) -> None:
        self._settings = settings
        self._calendar = Calendar(settings.start, settings.days)
        self.people = max(1, round(settings.scale * company.USERS_AT_SCALE_ONE))
        self.blocks = -(-self.people // BLOCK_PEOPLE)

    def marketing(self) -> list[Part]:
        """The tables that do not hang on people."""
        parts = []
        for name, rows in static_rows().items():
            batch = rows.combine_chunks().to_batches()[0]
            tally = Tally(rows_clean=rows.num_rows, rows_total=rows.num_rows)
            parts.append(Part(_BY_NAME[name], batch, batch.slice(0, 0), tally))
        spend = spend_rows(self._draws(Stream.MARKETING, _MARKETING_BLOCK), self._calendar, self.people)
        dirt = self._draws(Stream.MARKETING_DIRT, _MARKETING_BLOCK)
        return [*parts, self._soiled(dirt, "marketing_spend", spend, _MARKETING_BLOCK)]

    def block(self, block: int) -> list[Part]:
        """Every table that hangs on people, for one block of them."""
        dirt = self._draws(Stream.DIRT, block)
        return [self._soiled(dirt, name, rows, block) for name, rows in self.clean(block).items()]

    def clean(self, block: int) -> dict[str, Rows]:
        """Clean rows of one block by table name, before dirt."""
        first, calendar = first_number(block), self._calendar
        count = min(BLOCK_PEOPLE, self.people - block * BLOCK_PEOPLE)
        people = draw_people(self._draws(Stream.PEOPLE, block), calendar, block, count)
        members = draw_members(self._settings.seed, calendar, block, people)
        sessions, events = draw_visits(self._draws(Stream.VISITS, block), calendar, people, members, first)
        free = draw_free_requests(
            self._draws(Stream.FREE_SUPPORT, block), calendar, people.signup_at, people.purchase_at != NULL
        )
        askers = np.concatenate((members.person[members.requests.asker], free.asker))
        return {
            "users": user_rows(people),
            "sessions": sessions,
            "events": events,
            **draw_billing(self._draws(Stream.BILLING, block), calendar, people, members, first),
            "support_tickets": ticket_rows(_joined((members.requests, free)), people.user[askers], first),
            **experiment_rows(people, first),
        }

    def _soiled(self, draws: Draws, name: str, rows: Rows, block: int) -> Part:
        table = _BY_NAME[name]
        in_time, late, tally = soil(draws, name, rows, self._settings.dirt_share, block)
        return Part(table, to_arrow(table, in_time), to_arrow(table, late), tally)

    def _draws(self, stream: Stream, block: int) -> Draws:
        return Draws(self._settings.seed, stream, block)


def _joined(parts: Sequence[Requests]) -> Requests:
    return Requests(*(np.concatenate([getattr(part, name) for part in parts]) for name in Requests.__slots__))
