"""How often the sandbox makes trouble, and of which kind."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from airflow_provider_ollang.sandbox.faults import KINDS

ALL = "all"


def parse(specification: str) -> dict[str, float]:
    """Return the rate of each kind in a text such as ``500=0.1,reset-after=0.05``.

    ``all=0.1`` spreads a rate evenly over the kinds that are not named.

    :raises ValueError: a kind is unknown, a rate is no share of 1, or the rates exceed 1 together.
    """
    rates: dict[str, float] = {}
    for part in filter(None, specification.split(",")):
        kind, _, rate = part.partition("=")
        rates[_kind(kind.strip())] = _rate(part, rate)
    if sum(rates.values()) > 1:
        raise ValueError("the rates must not exceed 1 together")
    others = [kind for kind in KINDS if kind not in rates]
    each = rates.pop(ALL, 0.0) / max(1, len(others))
    return rates | (dict.fromkeys(others, each) if each else {})


class FaultDice:
    """Draws, for each request, the fault that it meets, from a seeded generator.

    :param rates: how often each kind comes, as a share of 1.
    """

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        self._rates = dict(rates)
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Start the same sequence over."""
        self._random = random.Random(self._seed)  # noqa: S311 - repeatable, not secret

    def draw(self) -> str | None:
        """Return the kind of the next request's fault, or ``None`` for none."""
        if not self._rates:
            return None
        drawn = self._random.random()
        for kind, rate in self._rates.items():
            drawn -= rate
            if drawn < 0:
                return kind
        return None


def _kind(name: str) -> str:
    if name not in KINDS and name != ALL:
        raise ValueError(f"unknown kind {name!r}; the kinds are {', '.join(KINDS)}, or {ALL}")
    return name


def _rate(part: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= 1:
        raise ValueError(f"{part!r} must be KIND=RATE with a rate from 0 to 1")
    return rate
