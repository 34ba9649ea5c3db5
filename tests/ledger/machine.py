"""Random things that people do on a ledger, for every engine, held against `machine_model`.

`propose` chooses the next action, likely a sensible one, with whatever choice it is handed:
Hypothesis' or a seeded random generator's. A `Driver` does it on an engine. `Comparison` says
beforehand what must come of it, and compares.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ledger.state import nullifier
from tests.ledger.ledger_world import (
    digest_of,
)
from tests.ledger.machine_model import (
    CHARTERS,
    PEOPLE,
    SETS,
    SPECS,
    Model,
)

Pick = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True)
class Action:
    """Who does what; the fields are those that its kind needs.

    `key` is the number of the key that signs, by default the present one. `forged` makes of a
    proof one about another circuit, of a rotation one that the new key did not sign, of a fault
    one that is not shown. `task` is a number in the order of opening, or None for the ledger.
    """

    kind: str
    who: str
    key: int | None = None
    task: int | None = None
    round: int = 0
    name: str | None = None
    set: str = ""
    model: str = ""
    author: str = ""
    to: str = ""
    amount: int = 0
    correct: int = 0
    new: int = 0
    number: int = 0
    variant: int = 0
    approvers: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    time: int = 0
    fault: str = ""
    size: int = 0
    proof: int | None = None
    release: int = 0
    forged: bool = False


class Driver(Protocol):
    """An engine that actions are done on."""

    tasks: list[str]

    def do(self, action: Action) -> str:
        """Return the code with which it is refused, or an empty string."""

    def balances(self) -> dict[str, int]:
        """Return what each person owns, by name."""

    def nullifiers(self) -> set[str]:
        """Return the spent nullifiers."""


# What contracts do: no rotation, no bonds, no deadlines, no charter that changes.
CHAIN_KINDS = ("register", "testset", "open", "commit", "release", "prove", "transfer")
CHAIN_SPECS = ("plain", "given", "greedy", "many")
FAULTS = ("equivocation", "no-release", "invalid-reveal")
KINDS = (
    *CHAIN_KINDS, "rotate", "revoke", "charter", "clock", "training", "publish", "predict", "audit",
    "close", "bond", "unbond", "slash",
)  # fmt: skip


def propose(
    model: Model,
    pick: Pick,
    kinds: Sequence[str] = KINDS,
    specs: Sequence[str] = tuple(SPECS),
    faults: Sequence[str] = FAULTS,
) -> Action:
    """Return the next action; `pick` chooses one of several."""
    made = _Proposal(model, pick, tuple(specs), tuple(faults))
    # Half of the time what brings a task forward; the rest comes in between.
    kind = made.next_step() if pick(range(2)) else ""
    action: Action = getattr(made, kind if kind in kinds else pick(kinds))()
    if "rotate" in kinds and pick(range(12)) == 0:
        return replace(action, key=pick(range(3)))
    return action


@dataclass
class _Proposal:
    model: Model
    pick: Pick
    specs: tuple[str, ...]
    faults: tuple[str, ...]

    def likely(self) -> bool:
        """Most of the time."""
        return bool(self.pick(range(6)))

    def among(self, sensible, otherwise):
        sensible = list(sensible)
        return self.pick(sensible if sensible and self.likely() else list(otherwise))

    def person(self):
        return self.among([p for p in self.model.people if p != "operator"], PEOPLE)

    def a_task(self, fits=lambda task: not task["closed"]):
        tasks = self.model.tasks
        return self.among([i for i, t in enumerate(tasks) if fits(t)], range(len(tasks) + 1))

    def known_task(self, number):
        return self.model.tasks[number] if number < len(self.model.tasks) else None

    def ready(self):
        """Return what was committed and released: task, round, who and model."""
        return [
            (number, *found)
            for number, task in enumerate(self.model.tasks)
            for found in sorted(task["commits"])
            if found[0] < len(task["releases"])
        ]

    def fresh(self):
        """Return what of it was not proven yet."""
        spent = {found[:3] for found in self.model.nullifiers}
        return [found for found in self.ready() if (found[0], found[1], found[3]) not in spent]

    def next_step(self):
        """Choose a kind of action that an open task is waiting for."""
        open_tasks = [task for task in self.model.tasks if not task["closed"]]
        if len(open_tasks) < 2:
            return "open"
        task = self.pick(open_tasks)
        commit = task["terms"]["windows"][0]
        if self.model.over(task):
            return self.pick(["close", "slash"])
        steps = ["prove", "prove"] if self.fresh() else []
        if len(task["releases"]) < task["terms"]["rounds"]:
            early = commit and self.model.now(task) < task["opened"] + commit
            waiting = ["clock"] if task["terms"]["unit"] == "seconds" else []
            steps += ["commit", "commit"] if early or not commit else ["release", *waiting]
            steps += ["bond", "bond"] if task["terms"]["bond"] else ["release"]
        return self.pick(steps or ["commit"])

    def register(self):
        return Action(
            "register", self.among([p for p in PEOPLE if p not in self.model.people], PEOPLE)
        )

    def rotate(self):
        return Action("rotate", self.person(), new=self.pick(range(4)), forged=not self.likely())

    def revoke(self):
        # Mostly of one whom nobody will miss.
        to = self.among(["erin"], PEOPLE)
        return Action("revoke", self.person(), to=to, approvers=self.approvers())

    def approvers(self):
        enough = tuple(sorted(self.model.charter["governors"]))[: self.model.charter["threshold"]]
        if self.pick(range(2)):
            return enough
        return self.pick([(), ("alice",), ("alice", "dave"), ("alice", "carol"), ("bob", "carol")])

    def charter(self):
        number = self.model.charter["number"] + 1
        number = self.among([number], [number - 1, number + 1])
        variant = self.pick([0, 0, *range(len(CHARTERS))])
        return Action(
            "charter", self.person(), number=number, variant=variant, approvers=self.approvers()
        )

    def clock(self):
        who = self.among(["operator"], PEOPLE)
        later = self.among([self.model.time + step for step in (1, 2, 4)], [1, self.model.time])
        return Action("clock", who, time=max(1, later))

    def testset(self):
        who = self.among(["evaluator"], PEOPLE)
        return Action("testset", who, name=self.pick([*SETS]))

    def training(self):
        names = ("t0", "t1", "s0")
        parents = tuple(sorted({self.pick(names) for _ in range(self.pick(range(3)))}))
        return Action("training", self.person(), name=self.pick(names[:2]), parents=parents)

    def open(self):
        fresh = [
            name for name, known in self.model.sets.items()
            if not known["opened"] and known["spent"] < SETS[name]
        ]  # fmt: skip
        return Action(
            "open", self.among(self.model.charter["owners"], PEOPLE),
            name=self.among([s for s in self.specs if s not in ("greedy", "many")], self.specs),
            set=self.among(fresh, [*SETS, "t0"]),
        )  # fmt: skip

    def commit(self):
        number = self.a_task()
        task, who = self.known_task(number), self.person()
        round_ = self.among([len(task["releases"])] if task else [], range(3))
        author = self.among([who], ("alice", "bob"))
        model = self.pick("ab")
        return Action("commit", who, task=number, round=round_, model=model, author=author)

    def release(self):
        number = self.a_task(
            lambda t: not t["closed"] and len(t["releases"]) < t["terms"]["rounds"]
        )
        task = self.known_task(number)
        who = self.among([self.model.evaluator(task)] if task else [], PEOPLE)
        round_ = self.among([len(task["releases"])] if task else [], range(3))
        name = self.pick([None, "good", "bad"])
        return Action("release", who, task=number, round=round_, name=name)

    def prove(self):
        ready, fresh = self.ready(), self.fresh()
        if ready and self.likely():
            number, round_, who, model = self.among(fresh, ready)
        else:
            number, round_, who, model = self.a_task(), self.pick(range(3)), self.person(), "a"
        return Action(
            "prove", who, task=number, round=round_, model=model,
            author=self.among([who], ("alice", "bob")), correct=self.pick(range(40, 101)),
            forged=not self.pick(range(12)),
        )  # fmt: skip

    def close(self):
        return Action("close", self.person(), task=self.a_task(self.model.over))

    def transfer(self):
        return Action(
            "transfer", self.person(), to=self.among(self.model.people, PEOPLE),
            amount=self.pick([1, 7, 100, 1000, 5000]),
        )  # fmt: skip

    def subject(self):
        tasks = enumerate(self.model.tasks)
        bonded = [i for i, t in tasks if t["terms"]["bond"] and not t["closed"]]
        return self.among(bonded, [None, None, *range(len(self.model.tasks) + 1)])

    def bond(self):
        task = self.subject()
        found = None if task is None else self.known_task(task)
        if found is None or not self.likely():
            return Action("bond", self.person(), task=task, amount=self.pick([1, 50, 5000]))
        terms, evaluator = found["terms"], self.model.evaluator(found)
        who, amount = self.pick(
            [(evaluator, terms["evaluator_bond"]), (self.person(), terms["bond"])]
        )
        return Action("bond", who, task=task, amount=max(1, amount))

    def unbond(self):
        if self.model.bonds and self.likely():
            who, task = self.pick(sorted(self.model.bonds, key=str))
        else:
            who, task = self.person(), self.subject()
        return Action("unbond", who, task=task)

    def slash(self):
        fault, who, forged = self.pick(self.faults), self.person(), not self.likely()
        if fault == "equivocation":
            bonded = sorted(who for who, subject in self.model.bonds if subject is None)
            to = self.among(bonded, PEOPLE)
            return Action(
                "slash", who, fault=fault, to=to, new=self.pick([0, 0, 1, 2]),
                size=self.pick([5, 6]), forged=forged,
            )  # fmt: skip
        number = self.a_task(self.model.unreleased) if fault == "no-release" else self.a_task()
        task = self.known_task(number)
        to = self.among([self.model.evaluator(task)] if task else [], PEOPLE)
        forged = forged and fault == "invalid-reveal"
        named = self.pick(["good", "bad"]) if fault == "invalid-reveal" else None
        return Action("slash", who, fault=fault, to=to, task=number, name=named, forged=forged)

    def model_of(self):
        return self.pick(sorted(self.model.proofs.items())) if self.model.proofs else None

    def publish(self):
        found = self.model_of()
        parents = tuple(sorted({self.pick(["t0", "t1"]) for _ in range(self.pick(range(2)))}))
        name = self.pick(["1.0", "1.1"])
        if found is None or not self.likely():
            return Action("publish", self.person(), name=name, model="a", parents=parents)
        index, (task, _, who, model, _) = found
        who, model = self.among([who], ("alice", "bob")), self.among([model], "ab")
        return Action(
            "publish", who, task=task, name=name, model=model, proof=index, parents=parents
        )

    def predict(self):
        return Action("predict", self.person(), release=self.pick(range(3)))

    def audit(self):
        found = self.model_of()
        index = found[0] if found else 1
        return Action("audit", self.person(), release=self.pick(range(3)), proof=index)


class Comparison:
    """An engine and the model, side by side."""

    def __init__(self, driver: Driver) -> None:
        self.driver, self.model = driver, Model()
        self.seen: set[tuple[str, str]] = set()

    def do(self, action: Action) -> str:
        if action.kind == "prove" and action.task is not None:
            # A statement names the set, which is the task's.
            known = action.task < len(self.model.tasks)
            action = replace(action, set=self.model.tasks[action.task]["set"] if known else "s0")
        reasons = self.model.reasons(action)
        code = self.driver.do(action)
        self.seen.add((action.fault or action.kind, code))
        if code:
            assert code in reasons, f"{action}: refused with {code}, expected {reasons}"
        else:
            assert not reasons, f"{action}: accepted, expected {reasons}"
            self.model.do(action)
        self.check()
        return code

    def check(self) -> None:
        owned = self.driver.balances()
        assert owned == {who: self.model.balances.get(who, 0) for who in PEOPLE}
        assert self.model.total() == self.model.minted - self.model.burned
        assert self.driver.nullifiers() == {
            nullifier(self.driver.tasks[task], round_, digest_of(model), digest_of(root))
            for task, round_, model, root in self.model.nullifiers
        }


BEGIN = (
    *(Action("register", who) for who in ("evaluator", "alice", "bob", "carol")),
    Action("testset", "evaluator", name="s0"),
)
"""Who is there from the start, so that a run need not begin with that."""


def walk(driver: Driver, seed: int, steps: int, **choices: Any) -> Comparison:
    """Do `steps` random actions, the same ones everywhere; `choices` are those of `propose`."""
    dice = random.Random(seed)  # noqa: S311 - to test with, not to keep secrets with
    both = Comparison(driver)
    for action in BEGIN:
        assert both.do(action) == ""
    for _ in range(steps):
        both.do(propose(both.model, lambda options: dice.choice(list(options)), **choices))
    return both
