"""What it takes to break a rule, and worlds to break it in; the breaks are in modules beside."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ledger_world import (
    ALICE,
    BONDED,
    EVALUATOR,
    RICH,
    WINDOWED,
    World,
    commitment,
    opened,
    statement,
    submission,
)

from ledger import entries
from ledger.rules import machine

CASES = []


@dataclass(frozen=True)
class Case:
    promise: int
    name: str
    run: Callable


def mutation(promise):
    def register(run):
        CASES.append(Case(promise, run.__name__.replace("_", " "), run))
        return run

    return register


def spoilt(patch, body, spoil):
    """Let the rule of a type end in another state than it should."""
    honest = machine.RULES[body]
    patch.setitem(
        machine.RULES,
        body,
        lambda state, entry, body, vouched: spoil(honest(state, entry, body, vouched), state, body),
    )


def skipped(patch, module, name):
    """Let a check pass whatever comes."""
    patch.setattr(module, name, lambda *args, **kwargs: None)


def paid(state, who, amount):
    owned = state.balances.get(who.public, 0)
    return replace(state, balances=state.balances.set(who.public, owned + amount))


def proof(task, who, model="m", correct=80, round_=0, **changes):
    return submission(task, statement(task, who, model, correct, round_, **changes), round_)


def rich():
    return opened(RICH)


def bonded():
    world = World(RICH)
    world.introduce()
    task = world.open(policy=BONDED, rounds=1)
    world.do(EVALUATOR, entries.Bond(task, 100))
    world.do(ALICE, entries.Bond(task, 50))
    return world, task


def closing():
    """A world in which the next entry can close the task, and pays Alice then."""
    world = World(RICH)
    world.introduce()
    task = world.open(policy=replace(WINDOWED, rule="best"), rounds=1)
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.wait(world.state.task(task).opened + 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.do(ALICE, proof(task, ALICE))
    world.wait(world.state.task(task).opened + 10)
    return world, task


def changed(state, task, **changes):
    return replace(state, tasks=state.tasks.set(task, replace(state.task(task), **changes)))


def unchecked(patch):
    skipped(patch, machine, "_authenticate")
