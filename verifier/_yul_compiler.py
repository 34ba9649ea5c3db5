"""Compile parsed Yul to Python closures, with the scoping rules of the language.

Functions are visible in their whole block and see no outer variable; no name is declared twice
where it is visible; arguments are evaluated from right to left. Unknown names and wrong numbers
of arguments or values are errors before anything runs. The words of the machine (`mload`, ...)
and what they do come from the caller as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeAlias

from verifier.yul import (
    Assign,
    Block,
    Call,
    Expression,
    For,
    Function,
    If,
    Literal,
    Name,
    UnsupportedVerifier,
)


class Machine(Protocol):
    """What a running program needs of its machine, besides the words of the table."""

    def tick(self) -> None:
        """Count one loop turn or function call, and refuse to go on for ever."""


Run: TypeAlias = Callable[[Any, list[int]], Any]
"""A compiled node: takes the machine and the frame of the running function."""


@dataclass(frozen=True)
class Builtin:
    """A word of the machine: ``run(machine, *arguments)``, with one value where it `returns`."""

    arity: int
    returns: bool
    run: Callable[..., Any]


def _unfinished(_machine: Any, _frame: list[int]) -> None:
    raise UnsupportedVerifier("a Yul function ran before it was compiled")


@dataclass
class _Routine:
    parameters: int
    results: int
    frame_size: int = 0
    body: Run = _unfinished


@dataclass
class _Frame:
    """Slots of the function being compiled; a slot is never used for two variables."""

    size: int = 0

    def slot(self) -> int:
        self.size += 1
        return self.size - 1


@dataclass
class _Scope:
    parent: _Scope | None
    frame: _Frame
    variables: dict[str, int] = field(default_factory=dict)
    routines: dict[str, _Routine] = field(default_factory=dict)

    def child(self) -> _Scope:
        return _Scope(self, self.frame)

    def variable(self, name: str) -> int | None:
        scope: _Scope | None = self
        # A scope with another frame belongs to an outer function, whose variables are not seen.
        while scope is not None and scope.frame is self.frame:
            if name in scope.variables:
                return scope.variables[name]
            scope = scope.parent
        return None

    def routine(self, name: str) -> _Routine | None:
        found = self.routines.get(name)
        return found if found or self.parent is None else self.parent.routine(name)

    def taken(self, name: str) -> bool:
        here = name in self.variables or name in self.routines
        return here or (self.parent is not None and self.parent.taken(name))


class Program:
    """A compiled assembly block.

    Parameters
    ----------
    block : Block
        What `verifier.yul.parse` gave.
    builtins : mapping of str to Builtin
        The words of the machine.
    constants : mapping of str to int
        Constants of the contract, visible everywhere.
    inputs : sequence of str
        Variables that the contract sets before the block; functions do not see them.

    Raises
    ------
    UnsupportedVerifier
        If the block breaks a rule of the language or uses an unknown name.
    """

    def __init__(
        self,
        block: Block,
        builtins: Mapping[str, Builtin],
        constants: Mapping[str, int],
        inputs: Sequence[str],
    ) -> None:
        self._builtins = builtins
        self._constants = constants
        scope = _Scope(None, _Frame())
        for name in inputs:
            self._declare(scope, name)
        self._inputs = tuple(inputs)
        self._main = self._block(block, scope.child())
        self._frame_size = scope.frame.size

    def run(self, machine: Machine, inputs: Mapping[str, int]) -> None:
        """Run to the end of the block, or until a word of the machine raises.

        Raises
        ------
        UnsupportedVerifier
            If functions call each other without end.
        """
        frame = [inputs[name] for name in self._inputs]
        frame += [0] * (self._frame_size - len(frame))
        try:
            self._main(machine, frame)
        except RecursionError:
            raise UnsupportedVerifier("Yul functions call each other too deep") from None

    def _declare(self, scope: _Scope, name: str) -> int:
        self._refuse_taken(scope, name)
        scope.variables[name] = scope.frame.slot()
        return scope.variables[name]

    def _refuse_taken(self, scope: _Scope, name: str) -> None:
        if name in self._builtins or name in self._constants or scope.taken(name):
            raise UnsupportedVerifier(f"Yul name {name!r} is declared twice")

    def _block(self, block: Block, scope: _Scope) -> Run:
        for statement in block.statements:
            if isinstance(statement, Function):
                self._refuse_taken(scope, statement.name)
                scope.routines[statement.name] = _Routine(
                    len(statement.parameters), len(statement.results)
                )
        steps = []
        for statement in block.statements:
            if isinstance(statement, Function):
                self._function(statement, scope)
            else:
                steps.append(self._statement(statement, scope))

        def run(machine: Any, frame: list[int]) -> None:
            for step in steps:
                step(machine, frame)

        return run

    def _statement(self, statement: Block | Assign | If | For | Call, scope: _Scope) -> Run:
        if isinstance(statement, Block):
            return self._block(statement, scope.child())
        if isinstance(statement, Assign):
            return self._assign(statement, scope)
        if isinstance(statement, If):
            return self._if(statement, scope)
        if isinstance(statement, For):
            return self._for(statement, scope)
        return self._expression(statement, scope, values=0)

    def _function(self, function: Function, scope: _Scope) -> None:
        routine = scope.routines[function.name]
        inner = _Scope(scope, _Frame())
        for name in function.parameters + function.results:
            self._declare(inner, name)
        routine.body = self._block(function.body, inner.child())
        routine.frame_size = inner.frame.size

    def _if(self, statement: If, scope: _Scope) -> Run:
        condition = self._expression(statement.condition, scope)
        body = self._block(statement.body, scope.child())

        def run(machine: Any, frame: list[int]) -> None:
            if condition(machine, frame):
                body(machine, frame)

        return run

    def _for(self, statement: For, scope: _Scope) -> Run:
        scope = scope.child()
        start = self._block(statement.start, scope)
        condition = self._expression(statement.condition, scope)
        step = self._block(statement.step, scope.child())
        body = self._block(statement.body, scope.child())

        def run(machine: Any, frame: list[int]) -> None:
            start(machine, frame)
            while condition(machine, frame):
                machine.tick()
                body(machine, frame)
                step(machine, frame)

        return run

    def _assign(self, statement: Assign, scope: _Scope) -> Run:
        count = len(statement.names)
        # Compiled first: a variable is not visible in its own initial value.
        value = (
            _zeros(count)
            if statement.value is None
            else self._expression(statement.value, scope, values=count)
        )
        slots = []
        for name in statement.names:
            slot = self._declare(scope, name) if statement.declare else scope.variable(name)
            if slot is None:
                raise UnsupportedVerifier(f"Yul variable {name!r} is assigned but not declared")
            slots.append(slot)
        if len(set(slots)) != count:
            raise UnsupportedVerifier("a Yul statement assigns one variable twice")
        return _store_one(slots[0], value) if count == 1 else _store_all(slots, value)

    def _expression(self, node: Expression, scope: _Scope, values: int = 1) -> Run:
        """Compile a node that must give `values` values: none, an int, or a list of ints."""
        if isinstance(node, Call):
            return self._call(node, scope, values)
        if values != 1:
            raise UnsupportedVerifier("a Yul statement needs another number of values")
        if isinstance(node, Literal):
            literal = node.value
            return lambda _machine, _frame: literal
        return self._name(node, scope)

    def _name(self, node: Name, scope: _Scope) -> Run:
        slot = scope.variable(node.name)
        if slot is not None:
            return lambda _, frame: frame[slot]
        if node.name not in self._constants:
            raise UnsupportedVerifier(f"Yul name {node.name!r} is not known here")
        constant = self._constants[node.name]
        return lambda _machine, _frame: constant

    def _call(self, node: Call, scope: _Scope, values: int) -> Run:
        builtin = self._builtins.get(node.name)
        routine = scope.routine(node.name)
        if builtin is not None:
            arity, gives = builtin.arity, int(builtin.returns)
            call = partial(_call_builtin, builtin.run)
        elif routine is not None:
            arity, gives = routine.parameters, routine.results
            call = partial(_call_routine, routine)
        else:
            raise UnsupportedVerifier(f"Yul function {node.name!r} is not known")
        if (len(node.arguments), values) != (arity, gives):
            raise UnsupportedVerifier(
                f"Yul function {node.name!r} takes {arity} and gives {gives} values, "
                f"not {len(node.arguments)} and {values}"
            )
        backwards = [self._expression(item, scope) for item in reversed(node.arguments)]
        return call(backwards)


def _zeros(count: int) -> Run:
    return lambda _machine, _frame: 0 if count == 1 else [0] * count


def _store_one(slot: int, value: Run) -> Run:
    def run(machine: Any, frame: list[int]) -> None:
        frame[slot] = value(machine, frame)

    return run


def _store_all(slots: list[int], value: Run) -> Run:
    def run(machine: Any, frame: list[int]) -> None:
        for slot, item in zip(slots, value(machine, frame), strict=True):
            frame[slot] = item

    return run


def _call_builtin(word: Callable[..., Any], backwards: list[Run]) -> Run:
    def run(machine: Any, frame: list[int]) -> Any:
        values = [item(machine, frame) for item in backwards]
        return word(machine, *reversed(values))

    return run


def _call_routine(routine: _Routine, backwards: list[Run]) -> Run:
    first, last = routine.parameters, routine.parameters + routine.results

    def run(machine: Any, frame: list[int]) -> Any:
        machine.tick()
        inner = [item(machine, frame) for item in backwards]
        inner.reverse()
        inner += [0] * (routine.frame_size - first)
        routine.body(machine, inner)
        results = inner[first:last]
        return results[0] if len(results) == 1 else results

    return run
