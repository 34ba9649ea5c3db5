"""The subset of Yul in which generated verifiers are written: syntax tree and parser.

Yul is the intermediate language of the Solidity compiler. Supported are blocks, functions, `let`,
assignment, `if`, `for` and calls over 256-bit words, as in the language reference
(docs.soliditylang.org/en/v0.8.30/yul.html). Everything else (`switch`, `break`, `leave`, strings,
types) is an error before anything runs: a verifier that is not understood in full must not be
run in part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from circuits.errors import ArtefactError

WORD = 1 << 256
MAX_NESTING = 64
"""Blocks and calls nested deeper than this are refused; generated code stays below 12."""

_TOKEN = re.compile(
    r"(?P<skip>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<number>(?:0x[0-9a-fA-F]{1,64}|0|[1-9][0-9]*)(?![\w$.]))"
    r"|(?P<name>[A-Za-z_$][\w$.]*)"
    r"|(?P<sign>:=|->|[{}(),])",
    re.DOTALL | re.ASCII,
)
_KEYWORDS = frozenset({"function", "let", "if", "for", "true", "false"})
_UNSUPPORTED = frozenset({"switch", "case", "default", "break", "continue", "leave", "hex"})


class UnsupportedVerifier(ArtefactError):
    """The generated verifier is not of the form that this code can run."""

    code = "UNSUPPORTED_VERIFIER"


@dataclass(frozen=True)
class Literal:
    """A number below 2^256."""

    value: int


@dataclass(frozen=True)
class Name:
    """A variable or a constant."""

    name: str


@dataclass(frozen=True)
class Call:
    """A call of a function or of a word of the machine."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Assign:
    """``let names := value`` where `declare`, else ``names := value``; no value means zeros."""

    names: tuple[str, ...]
    value: Expression | None
    declare: bool


@dataclass(frozen=True)
class If:
    """``if condition { }``."""

    condition: Expression
    body: Block


@dataclass(frozen=True)
class For:
    """``for { start } condition { step } { body }``; names of `start` are visible in the rest."""

    start: Block
    condition: Expression
    step: Block
    body: Block


@dataclass(frozen=True)
class Function:
    """``function name(parameters) -> results { }``."""

    name: str
    parameters: tuple[str, ...]
    results: tuple[str, ...]
    body: Block


@dataclass(frozen=True)
class Block:
    """Statements with a scope of their own."""

    statements: tuple[Statement, ...]


Expression: TypeAlias = Literal | Name | Call
Statement: TypeAlias = Block | Assign | If | For | Function | Call


def parse(source: str) -> Block:
    """Parse the statements of an assembly block, given without its outer braces.

    Raises
    ------
    UnsupportedVerifier
        At the first token outside the supported grammar, with its line.
    """
    return _Parser(source).program()


def calls(node: object) -> Iterator[Call]:
    """Yield every call below a node, in the order of the text."""
    if isinstance(node, Call):
        yield node
    if isinstance(node, tuple):
        for item in node:
            yield from calls(item)
    elif hasattr(node, "__dataclass_fields__"):
        for field in node.__dataclass_fields__:
            yield from calls(getattr(node, field))


class _Parser:
    def __init__(self, source: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        place = line = 0
        while place < len(source):
            match = _TOKEN.match(source, place)
            if match is None:
                raise UnsupportedVerifier(
                    f"Yul line {line + 1}: unexpected text {source[place : place + 20]!r}"
                )
            if match.lastgroup != "skip":
                self._tokens.append((str(match.lastgroup), match.group(), line + 1))
            line += match.group().count("\n")
            place = match.end()
        self._tokens.append(("end", "end of text", line + 1))
        self._at = 0
        self._depth = 0

    def program(self) -> Block:
        statements = []
        while self._peek() != "end of text":
            statements.append(self._statement())
        return Block(tuple(statements))

    def _peek(self) -> str:
        return self._tokens[self._at][1]

    def _error(self, wanted: str) -> UnsupportedVerifier:
        _, text, line = self._tokens[self._at]
        return UnsupportedVerifier(f"Yul line {line}: expected {wanted}, found {text!r}")

    def _take(self, kind: str, text: str | None = None) -> str:
        found, value, _ = self._tokens[self._at]
        if found != kind or (text is not None and value != text):
            raise self._error(text or kind)
        self._at += 1
        return value

    def _name(self) -> str:
        if self._peek() in _KEYWORDS | _UNSUPPORTED:
            raise self._error("a name")
        return self._take("name")

    def _names(self) -> tuple[str, ...]:
        names = [self._name()]
        while self._peek() == ",":
            self._at += 1
            names.append(self._name())
        return tuple(names)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._error(f"at most {MAX_NESTING} levels of nesting")

    def _block(self) -> Block:
        self._deeper()
        self._take("sign", "{")
        statements = []
        while self._peek() != "}":
            statements.append(self._statement())
        self._at += 1
        self._depth -= 1
        return Block(tuple(statements))

    def _statement(self) -> Statement:
        word = self._peek()
        if word == "{":
            return self._block()
        if word == "function":
            return self._function()
        if word == "if":
            self._at += 1
            return If(self._expression(), self._block())
        if word == "for":
            self._at += 1
            return For(self._block(), self._expression(), self._block(), self._block())
        if word == "let":
            self._at += 1
            names, value = self._names(), None
            if self._peek() == ":=":
                self._at += 1
                value = self._expression()
            return Assign(names, value, declare=True)
        names = self._names()
        if self._peek() == "(" and len(names) == 1:
            return self._call(names[0])
        self._take("sign", ":=")
        return Assign(names, self._expression(), declare=False)

    def _function(self) -> Function:
        self._at += 1
        name = self._name()
        self._take("sign", "(")
        parameters = () if self._peek() == ")" else self._names()
        self._take("sign", ")")
        results: tuple[str, ...] = ()
        if self._peek() == "->":
            self._at += 1
            results = self._names()
        return Function(name, parameters, results, self._block())

    def _expression(self) -> Expression:
        kind, text, _ = self._tokens[self._at]
        if kind == "number" or text in ("true", "false"):
            value = int(text == "true") if kind == "name" else int(text, 0)
            if value >= WORD:
                raise self._error("a number below 2^256")
            self._at += 1
            return Literal(value)
        name = self._name()
        return self._call(name) if self._peek() == "(" else Name(name)

    def _call(self, name: str) -> Call:
        self._deeper()
        self._at += 1
        arguments: list[Expression] = []
        while self._peek() != ")":
            if arguments:
                self._take("sign", ",")
            arguments.append(self._expression())
        self._at += 1
        self._depth -= 1
        return Call(name, tuple(arguments))
