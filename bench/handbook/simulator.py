"""Card payments as the Fraud Detection Handbook simulates them, written anew from its description and vectorised.

Source: Le Borgne et al., Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook, 2022,
chapter 3, Transaction data simulator. It publishes 1,754,155 transactions of which 14,681 are fraud; draws differ here,
so counts do too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lake.table import MONEY, TIMESTAMP

Array = npt.NDArray[Any]

DAY_S = 86_400
# Distances from so many customers to all terminals are held at once: 40 MB at 10,000 terminals.
_CUSTOMERS_AT_ONCE = 500


class Scenario(IntEnum):
    """Why a transaction is fraud."""

    GENUINE = 0
    HIGH_AMOUNT = 1
    TERMINAL = 2
    CARD = 3


@dataclass(frozen=True, slots=True)
class Population:
    """What is simulated; the defaults are the book's.

    Args:
        customers: Card holders.
        terminals: Points of sale.
        days: Days simulated.
        first_day: First of them.
        side: Side of the square in which customers and terminals lie.
        radius: A customer uses the terminals nearer than this.
        mean_amount: Bounds of a customer's mean amount; its standard deviation is half of it.
        most_a_day: A customer's mean transactions a day lie between 0 and this.
        noon_s: Mean second of the day of a transaction.
        noon_deviation_s: Its standard deviation; seconds outside of the day are dropped.
        high_amount: Scenario 1: amounts above it are fraud.
        terminals_a_day: Scenario 2: terminals compromised each day.
        terminal_days: Days for which all transactions of such a terminal are fraud.
        cards_a_day: Scenario 3: customers compromised each day.
        card_days: Days for which a part of their transactions is fraud.
        card_share: One in so many of these transactions is.
        card_factor: Their amounts are multiplied by it.
    """

    customers: int = 5_000
    terminals: int = 10_000
    days: int = 183
    first_day: date = date(2018, 4, 1)
    side: float = 100.0
    radius: float = 5.0
    mean_amount: tuple[float, float] = (5.0, 100.0)
    most_a_day: float = 4.0
    noon_s: float = 43_200.0
    noon_deviation_s: float = 20_000.0
    high_amount: int = 220
    terminals_a_day: int = 2
    terminal_days: int = 28
    cards_a_day: int = 3
    card_days: int = 14
    card_share: int = 3
    card_factor: int = 5


@dataclass(frozen=True, slots=True)
class Payments:
    """Simulated transactions in order of time, one array element each.

    Args:
        customer: Number of the customer.
        terminal: Number of the terminal.
        second: Seconds since the first day began.
        cents: Amount.
        scenario: Why it is fraud (Scenario), 0 when genuine.
        population: What was simulated.
    """

    customer: Array
    terminal: Array
    second: Array
    cents: Array
    scenario: Array
    population: Population

    @property
    def day(self) -> Array:
        """Days since the first day."""
        days: Array = self.second // DAY_S
        return days

    def day_of(self, moment: date) -> int:
        """Number of a calendar day."""
        return (moment - self.population.first_day).days

    def table(self) -> pa.Table:
        """The transactions as bronze.transactions declares them, without what landing adds."""
        rows = len(self.second)
        first = self.population.first_day
        start_us = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()) * 1_000_000
        occurred = pa.array(start_us + self.second.astype(np.int64) * 1_000_000).cast(TIMESTAMP)
        cents = pa.array(self.cents.astype(np.int64)).cast(pa.decimal128(19, 0))
        return pa.table({
            "transaction_id": _ids("T", np.arange(rows)),
            "account_id": _ids("C", self.customer),
            "merchant_id": _ids("M", self.terminal),
            "category": _same("terminal", rows),
            "occurred_at": occurred,
            "amount": pc.multiply(cents, pa.scalar("0.01").cast(pa.decimal128(3, 2))).cast(MONEY),
            "currency": _same("EUR", rows),
            "channel": _same("in_store", rows),
        })  # fmt: skip


def _ids(letter: str, numbers: Array) -> pa.Array:
    padded = pc.utf8_lpad(pa.array(numbers.astype(np.int64)).cast(pa.string()), 8, padding="0")
    return pc.binary_join_element_wise(letter, padded, "")


def _same(text: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), rows)


def simulate(population: Population, seed: int) -> Payments:
    """Draw the transactions of a population; the same seed and NumPy version give the same ones.

    Args:
        population: What to simulate.
        seed: Says what comes.
    """
    rng = np.random.default_rng(seed)
    genuine = _genuine(population, rng)
    return _with_fraud(genuine, rng)


def _genuine(population: Population, rng: np.random.Generator) -> Payments:
    p = population
    homes = rng.uniform(0, p.side, (p.customers, 2))
    means = rng.uniform(*p.mean_amount, p.customers)
    rates = rng.uniform(0, p.most_a_day, p.customers)
    first, near = _terminals_near(homes, rng.uniform(0, p.side, (p.terminals, 2)), p.radius)
    counts = rng.poisson(rates[:, np.newaxis], (p.customers, p.days))
    # A customer without a terminal in reach buys nothing.
    counts[np.diff(first) == 0] = 0
    customer = np.repeat(np.arange(p.customers), counts.sum(axis=1))
    day = np.repeat(np.tile(np.arange(p.days), p.customers), counts.ravel())
    second = np.trunc(rng.normal(p.noon_s, p.noon_deviation_s, len(day))).astype(np.int64)
    inside = (second > 0) & (second < DAY_S)
    customer, second = customer[inside], (day * DAY_S + second)[inside]
    mean = means[customer]
    amount = rng.normal(mean, mean / 2)
    amount = np.where(amount < 0, rng.uniform(0, 2 * mean), amount)
    reach = np.diff(first)[customer]
    terminal = near[first[customer] + (rng.random(len(customer)) * reach).astype(np.int64)]
    order = np.argsort(second, kind="stable")
    cents = np.rint(amount * 100).astype(np.int64)
    scenario = np.zeros(len(order), np.int8)
    return Payments(customer[order], terminal[order], second[order], cents[order], scenario, population)


def _terminals_near(homes: Array, terminals: Array, radius: float) -> tuple[Array, Array]:
    """Terminals in reach of each customer.

    Returns:
        Where each customer's terminals begin in the second array (one more than customers), and the terminals.
    """
    counts, near = [], []
    for start in range(0, len(homes), _CUSTOMERS_AT_ONCE):
        apart = homes[start : start + _CUSTOMERS_AT_ONCE, np.newaxis] - terminals[np.newaxis]
        within = np.square(apart).sum(axis=2) < radius**2
        counts.append(within.sum(axis=1))
        near.append(np.nonzero(within)[1])
    return np.concatenate(([0], np.cumsum(np.concatenate(counts)))), np.concatenate(near)


def _with_fraud(payments: Payments, rng: np.random.Generator) -> Payments:
    """The three scenarios in the book's order; where two meet in a transaction, the later one names it."""
    p = payments.population
    day, cents, scenario = payments.day, payments.cents.copy(), payments.scenario.copy()
    scenario[cents > p.high_amount * 100] = Scenario.HIGH_AMOUNT
    by_terminal = _Groups(payments.terminal, p.terminals)
    for drawn in range(p.days):
        rows = by_terminal.rows(rng.choice(p.terminals, p.terminals_a_day, replace=False))
        scenario[rows[_during(day[rows], drawn, p.terminal_days)]] = Scenario.TERMINAL
    by_customer = _Groups(payments.customer, p.customers)
    for drawn in range(p.days):
        rows = by_customer.rows(rng.choice(p.customers, p.cards_a_day, replace=False))
        rows = rows[_during(day[rows], drawn, p.card_days)]
        stolen = rng.choice(rows, len(rows) // p.card_share, replace=False)
        cents[stolen] *= p.card_factor
        scenario[stolen] = Scenario.CARD
    return Payments(payments.customer, payments.terminal, payments.second, cents, scenario, p)


def _during(days: Array, first: int, length: int) -> Array:
    within: Array = (days >= first) & (days < first + length)
    return within


class _Groups:
    """Rows of each key, found without a scan."""

    def __init__(self, keys: Array, most: int) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._starts = np.searchsorted(keys[self._order], np.arange(most + 1))

    def rows(self, keys: Array) -> Array:
        of_each = (self._order[self._starts[key] : self._starts[key + 1]] for key in keys)
        return np.concatenate([self._order[:0], *of_each])
