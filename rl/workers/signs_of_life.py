"""Who is still there: silence counted fairly, and signs of life between ranks that torchrun started, by way of torchrun's own store."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from torch.distributed import PrefixStore, TCPStore

BEAT = 2.0
"""Seconds between two signs."""
_AT_ONCE = 5.0
_LOST = "lost"


class Silence:
    """Seconds since each rank was heard, as far as the listener was awake: a run that was suspended as a whole has missed nothing."""

    def __init__(self, count: int):
        self.of = [0.0] * count
        self._now = time.monotonic()

    def passes(self) -> None:
        """To be called every few seconds, after what has come was read."""
        now = time.monotonic()
        step, self._now = min(now - self._now, _AT_ONCE), now
        self.of = [seconds + step for seconds in self.of]

    def heard(self, rank: int) -> None:
        self.of[rank] = 0.0


@dataclass(frozen=True)
class Card:
    """What a rank says of itself."""

    machine: str
    process: int
    beat: int = 0
    call: int = 0
    doing: str = "building"
    """The call's name."""
    turn: int = 0
    """How many passes of that call it has begun."""
    busy: bool = False
    left: bool = False
    """It ends, and all is well."""

    @property
    def place(self) -> tuple[int, int]:
        return self.call, self.turn


class SignsOfLife:
    """One rank's. A thread shows its card every two seconds and looks at the others'.

    A rank is lost when its process on this machine is gone, when it has given no sign for `patience` seconds (its process is ended then, if
    it is one of this machine: torchrun and the collectives that wait for it hear of that at once), or, the one that is furthest behind,
    when no rank has got any further within a call for `deadline` seconds.
    """

    def __init__(self, rank: int, count: int, *, lost: Callable[[str], None], patience: float, deadline: float):
        """`lost` is called once, in the thread, with what there is to say. Returns when all ranks are there."""
        self.rank, self.count, self.patience, self.deadline = rank, count, patience, deadline
        self.named, self._lost = "", lost
        """What there is to say of a rank that was lost."""
        self._known, self._closed = threading.Event(), threading.Event()
        where, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = TCPStore(where, port, is_master=False, timeout=timedelta(seconds=deadline))  # a connection of the thread's own
        self._store = PrefixStore(f"reckon/{os.environ.get('TORCHELASTIC_RUN_ID', '')}/{again}", store)
        self._card: dict[str, Any] = asdict(Card(_machine(), os.getpid()))
        self._show()
        self._store.wait([str(other) for other in range(count)], timedelta(seconds=deadline))
        self._thread = threading.Thread(target=self._watch, daemon=True, name="reckon signs of life")
        self._thread.start()

    def turns(self) -> None:
        """This rank begins one more pass."""
        self._card["turn"] += 1

    def begins(self, call: int, name: str) -> None:
        self._card.update(call=call, doing=name, turn=0, busy=True)

    def ends(self) -> None:
        self._card["busy"] = False

    def why(self) -> str:
        """What is known of who was lost, if anything will be within the time that it takes to see that a process is gone."""
        self._known.wait(2 * BEAT)
        return self.named

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._thread.join()
            self._card["left"] = True
            with suppress(RuntimeError):  # whose store is gone too
                self._show()

    def _show(self) -> None:
        self._card["beat"] += 1
        self._store.set(str(self.rank), json.dumps(self._card))

    def _cards(self) -> list[Card]:
        return [Card(**json.loads(shown)) for shown in self._store.multi_get([str(rank) for rank in range(self.count)])]

    def _watch(self) -> None:
        silence, stillness = Silence(self.count), Silence(1)
        seen: list[Card] = []
        while not self._closed.wait(BEAT):
            try:
                self._show()
                cards = self._cards()
                found = self._gone(cards)
            except RuntimeError as error:
                self._name(f"torchrun's store is gone ({str(error).splitlines()[0]:.200})")
                return
            silence.passes()
            stillness.passes()
            for rank, (card, before) in enumerate(zip(cards, seen or cards, strict=True)):
                if card.beat != before.beat or not seen:
                    silence.heard(rank)
            if not seen or not any(card.busy for card in cards) or [c.place for c in cards] != [c.place for c in seen]:
                stillness.heard(0)
            seen = cards
            found = found or self._silent(cards, silence) or self._stuck(cards, stillness)
            if found and not self._closed.is_set():
                self._name(found)
                return

    def _gone(self, cards: list[Card]) -> str:
        if self._store.check([_LOST]):
            return str(self._store.get(_LOST), "utf-8")
        for rank, card in self._others(cards).items():
            if card.machine == self._card["machine"] and not _lives(card.process):
                return f"policy worker {rank} died (process {card.process} of this machine)"
        return ""

    def _silent(self, cards: list[Card], silence: Silence) -> str:
        for rank, card in self._others(cards).items():
            if silence.of[rank] > self.patience:
                here = card.machine == self._card["machine"]
                where = "this machine" if here else card.machine.split()[0]
                said = f"policy worker {rank} (process {card.process} of {where}) gave no sign for {self.patience:g} s"
                with suppress(ProcessLookupError, PermissionError, RuntimeError):
                    self._store.set(_LOST, said)  # before the others see it dead
                    if here:
                        os.kill(card.process, signal.SIGKILL)
                return said
        return ""

    def _stuck(self, cards: list[Card], stillness: Silence) -> str:
        if stillness.of[0] <= self.deadline:
            return ""
        rank = min((rank for rank, card in enumerate(cards) if card.busy), key=lambda rank: (cards[rank].place, rank), default=0)
        where = f"pass {cards[rank].turn} of its call {cards[rank].call}, {cards[rank].doing}"
        return f"no policy worker got any further for {self.deadline:g} s; the furthest behind is {rank}, in {where}"

    def _others(self, cards: list[Card]) -> Mapping[int, Card]:
        return {rank: card for rank, card in enumerate(cards) if rank != self.rank and not card.left}

    def _name(self, lost: str) -> None:
        self.named = lost
        self._known.set()
        self._lost(lost)


def _machine() -> str:
    """Of processes that can see each other, the same."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
