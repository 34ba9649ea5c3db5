from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc import optimized_bn128 as bn

from verifier import _machine, _precompiles
from verifier._machine import BUILTINS, Evm, Halt
from verifier._yul_compiler import Program
from verifier.yul import MAX_NESTING, Assign, Call, Literal, UnsupportedVerifier, calls, parse

WORD = 1 << 256
words = st.one_of(
    st.integers(0, WORD - 1), st.integers(0, 300), st.sampled_from([WORD - 1, WORD - 2, 1 << 255])
)


def run(source, calldata=b"", constants=(), inputs=()):
    """Run a block and return what it returned, None for a revert, or "end"."""
    program = Program(parse(source), BUILTINS, dict(constants), [name for name, _ in inputs])
    try:
        program.run(Evm(calldata), dict(inputs))
    except Halt as halt:
        return halt.data
    return "end"


def value(expression, **kwargs):
    data = run(f"mstore(0, {expression}) return(0, 32)", **kwargs)
    return int.from_bytes(data, "big")


REFERENCE = {
    "add": lambda a, b: (a + b) % WORD,
    "sub": lambda a, b: (a - b) % WORD,
    "mul": lambda a, b: (a * b) % WORD,
    "div": lambda a, b: 0 if b == 0 else a // b,
    "mod": lambda a, b: 0 if b == 0 else a % b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "eq": lambda a, b: int(a == b),
    "lt": lambda a, b: int(a < b),
    "gt": lambda a, b: int(a > b),
    "shl": lambda s, a: a * 2**s % WORD if s < 256 else 0,
    "shr": lambda s, a: a // 2**s if s < 256 else 0,
}


@pytest.mark.parametrize("name", sorted(REFERENCE))
@given(a=words, b=words)
@settings(max_examples=60, deadline=None)
def test_two_argument_words(name, a, b):
    assert value(f"{name}({a}, {b:#x})") == REFERENCE[name](a, b)


@given(a=words, b=words, m=words)
@settings(max_examples=60, deadline=None)
def test_modular_words_do_not_wrap_before_the_modulus(a, b, m):
    assert value(f"addmod({a}, {b}, {m})") == (0 if m == 0 else (a + b) % m)
    assert value(f"mulmod({a}, {b}, {m})") == (0 if m == 0 else a * b % m)
    assert value(f"not({a})") == WORD - 1 - a
    assert value(f"iszero({a})") == int(a == 0)


@pytest.mark.parametrize("word", ["div(7, 0)", "mod(7, 0)", "addmod(7, 8, 0)", "mulmod(7, 8, 0)"])
def test_division_by_zero_is_zero(word):
    assert value(word) == 0


def test_arguments_are_evaluated_from_right_to_left():
    source = """
        function note(x) -> y { mstore(0x100, add(mul(mload(0x100), 10), x)) y := x }
        let ignored := addmod(note(1), note(2), note(3))
        mstore(0, mload(0x100)) return(0, 32)
    """
    assert run(source) == (321).to_bytes(32, "big")


def test_functions_can_be_used_before_they_are_written_and_give_many_values():
    source = """
        let a, b := swap(1, 2)
        a, b := swap(a, b)
        mstore(0, a) mstore(0x20, b) return(0, 0x40)
        function swap(x, y) -> u, v { u := y v := x }
    """
    assert run(source) == (1).to_bytes(32, "big") + (2).to_bytes(32, "big")


def test_results_and_plain_lets_start_at_zero_every_time():
    source = """
        function count(n) -> r { if n { r := add(1, count(sub(n, 1))) } }
        let sum
        for { let i := 0 } lt(i, 3) { i := add(i, 1) } { let x x := add(x, 1) sum := add(sum, x) }
        mstore(0, add(mul(100, count(5)), sum)) return(0, 32)
    """
    assert run(source) == (503).to_bytes(32, "big")


def test_loop_variables_are_seen_in_condition_step_and_body():
    source = """
        let sum := 0
        for { let i := 1 let end := 5 } lt(i, end) { i := add(i, 1) } { sum := add(sum, i) }
        for {} lt(sum, 12) {} { sum := add(sum, 1) }
        mstore(0, sum) return(0, 32)
    """
    assert run(source) == (12).to_bytes(32, "big")


def test_names_may_be_used_again_in_sibling_blocks():
    assert value("add(1, 1)") == 2
    assert run("{ let a := 1 } { let a := 2 mstore(0, a) return(31, 1) }") == b"\2"


def test_constants_are_seen_in_functions_and_inputs_are_not():
    constants = [("R", 7)]
    source = "function f() -> x { x := R } mstore(0, add(f(), p.offset)) return(0, 32)"
    assert run(source, constants=constants, inputs=[("p.offset", 5)])[-1] == 12
    with pytest.raises(UnsupportedVerifier, match="not known"):
        run("function f() -> x { x := p.offset }", inputs=[("p.offset", 5)])


def test_comments_and_literals():
    assert value("/* a } */ true // {\n") == 1
    assert value("false") == 0
    assert value(f"{WORD - 1}") == WORD - 1


@pytest.mark.parametrize(
    "source",
    [
        "let",
        "let a :=",
        "let a := 1 let a := 2",
        "let a := a",
        "let a, a := f() function f() -> x, y {}",
        "a := 1",
        "let a := b",
        "let add := 1",
        "let R := 1",
        "function f() {} function f() {}",
        "function f(x, x) {}",
        "function f() -> f {}",
        "let f := 1 function f() {}",
        "{ let a } a := 1",
        "let a function f() { a := 1 }",
        "let a, b := 1",
        "let a := pop(1)",
        "let a, b a, a := g() function g() -> x, y {}",
        "add(1, 2)",
        "pop(1, 2)",
        "add(1)",
        "pop(add(1))",
        "pop(mstore(0, 1))",
        "let a := f() function f() -> x, y {}",
        "f()",
        "pop(f(1)) function f() -> x {}",
        "5",
        "a",
        "1()",
        "sstore(0, 1)",
        "log0(0, 0)",
        "delegatecall(gas(), 5, 0, 0, 0, 0)",
        "call(gas(), 5, 0, 0, 0, 0, 0)",
        "switch 1 case 1 {} default {}",
        "for {} 1 {} { break }",
        "for {} 1 {} { continue }",
        "function f() { leave }",
        "let a:u256 := 1",
        'let a := "text"',
        'let a := hex"00"',
        "let a := 0x",
        "let a := 0x1" + "0" * 64,
        f"let a := {WORD}",
        "let a := 007",
        "let a := 1x",
        "let a := -1",
        "let a = 1",
        "if 1",
        "if 1 { ",
        "}",
        "function f( {}",
        "pop(1,)",
        "pop(,1)",
        "pop(1 2)",
        "/* open",
        "let if := 1",
        "let \u0430 := 1",
        "{" * (MAX_NESTING + 1) + "}" * (MAX_NESTING + 1),
        "pop(" + "not(" * MAX_NESTING + "1" + ")" * (MAX_NESTING + 1),
    ],
)
def test_anything_else_is_refused_before_it_runs(source):
    with pytest.raises(UnsupportedVerifier):
        Program(parse(source), BUILTINS, {"R": 1}, [])


def test_errors_carry_the_line():
    with pytest.raises(UnsupportedVerifier, match="line 3"):
        parse("let a := 1\n\nlet = 2")


def test_tree_and_calls():
    block = parse("let a := add(1, not(2)) if gas() { pop(a) }")
    assert block.statements[0] == Assign(
        ("a",), Call("add", (Literal(1), Call("not", (Literal(2),)))), declare=True
    )
    assert [call.name for call in calls(block)] == ["add", "not", "gas", "pop"]


@given(st.text(alphabet="letfor if{}(),:=->x01 \n/*", max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_text_makes_the_parser_fail_otherwise(text):
    with contextlib.suppress(UnsupportedVerifier):
        parse(text)


def test_calldata_is_padded_with_zeros():
    calldata = bytes(range(1, 41))
    assert value("calldataload(8)", calldata=calldata).to_bytes(32, "big") == calldata[8:]
    assert value("calldataload(39)", calldata=calldata) == 40 << 248
    assert value("calldataload(40)", calldata=calldata) == 0
    assert value(f"calldataload({WORD - 1})", calldata=calldata) == 0


def test_memory_starts_as_solidity_leaves_it_and_grows_with_zeros():
    assert value("mload(0x40)") == 0x80
    assert value("mload(0x3e)") == 0
    assert value("mload(100000)") == 0
    assert run("mstore(1, not(0)) mstore8(2, 0x1234) return(0, 4)") == b"\0\xff\x34\xff"
    assert run("return(0, 0)") == b""


@pytest.mark.parametrize(
    "source",
    [
        f"mstore({_machine.MEMORY_LIMIT - 31}, 1)",
        f"pop(mload({WORD - 1}))",
        f"pop(keccak256(0, {WORD - 1}))",
        f"return(0, {_machine.MEMORY_LIMIT + 1})",
        f"pop(staticcall(gas(), 6, 0, 0x80, {1 << 40}, 0x40))",
    ],
)
def test_memory_has_a_limit(source):
    with pytest.raises(UnsupportedVerifier, match="memory"):
        run(source)


def test_endless_programs_are_stopped(monkeypatch):
    monkeypatch.setattr(_machine, "STEP_LIMIT", 1000)
    with pytest.raises(UnsupportedVerifier, match="steps"):
        run("for {} 1 {} {}")
    monkeypatch.undo()
    with pytest.raises(UnsupportedVerifier, match="too deep"):
        run("function f() { f() } f()")


def test_halting():
    assert run("revert(0, 0)") is None
    assert run("let a := 1") == "end"
    assert run("if 0 { revert(0, 0) } return(0, 1)") == b"\0"


def test_keccak_is_ethereums():
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert value("keccak256(0, 0)") == int(empty, 16)
    # keccak256 of one zero word, the slot hash known from Solidity's storage layout.
    zero = "290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563"
    assert value("keccak256(0, 32)") == int(zero, 16)


def words_of(*values):
    return b"".join(v.to_bytes(32, "big") for v in values)


Q = bn.field_modulus
TWICE = (
    0x030644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD3,
    0x15ED738C0E0A7C92E7845F96B2AE9C0A68A6A449E3538FC7FF3EBF7A5A18A2C4,
)


def test_addition_and_multiplication():
    assert _precompiles.call(6, words_of(1, 2, 1, 2)) == words_of(*TWICE)
    assert _precompiles.call(7, words_of(1, 2, 2)) == words_of(*TWICE)
    assert _precompiles.call(7, words_of(1, 2, bn.curve_order + 2)) == words_of(*TWICE)
    assert _precompiles.call(6, words_of(1, 2, 1, Q - 2)) == bytes(64)
    assert _precompiles.call(6, words_of(0, 0, 1, 2)) == words_of(1, 2)
    assert _precompiles.call(7, words_of(1, 2, 0)) == bytes(64)
    assert _precompiles.call(7, words_of(0, 0, WORD - 1)) == bytes(64)


@pytest.mark.parametrize("point", [(1, 3), (1 + Q, 2), (1, 2 + Q), (Q, Q), (0, 1)])
def test_bad_points_make_the_call_fail(point):
    assert _precompiles.call(6, words_of(*point, 1, 2)) is None
    assert _precompiles.call(6, words_of(1, 2, *point)) is None
    assert _precompiles.call(7, words_of(*point, 5)) is None
    assert _precompiles.call(8, words_of(*point, *g2_words(bn.G2))) is None


def g2_words(point):
    return [int(c) for axis in bn.normalize(point) for c in reversed(axis.coeffs)]


def test_pairing():
    good = [1, 2, *g2_words(bn.G2), 1, Q - 2, *g2_words(bn.G2)]
    assert _precompiles.call(8, words_of(*good)) == words_of(1)
    other = [1, 2, *g2_words(bn.multiply(bn.G2, 2)), *TWICE, *g2_words(bn.neg(bn.G2))]
    assert _precompiles.call(8, words_of(*other)) == words_of(1)
    assert _precompiles.call(8, words_of(*good[:6])) == words_of(0)
    assert _precompiles.call(8, b"") == words_of(1)
    assert _precompiles.call(8, words_of(1, 2, 0, 0, 0, 0)) == words_of(1)
    assert _precompiles.call(8, words_of(0, 0, *g2_words(bn.G2))) == words_of(1)


def test_pairing_refuses_points_off_the_twist_or_outside_the_subgroup():
    words = g2_words(bn.G2)
    assert _precompiles.call(8, words_of(1, 2, *words[2:], *words[:2])) is None
    assert _precompiles.call(8, words_of(1, 2, words[0] + Q, *words[1:])) is None
    # A point of the twist with x = 2 + i, found by a square root; its order is not r.
    x = bn.FQ2([2, 1])
    y = next(y for y in square_roots(x * x * x + bn.b2))
    assert _precompiles.call(8, words_of(1, 2, *g2_words((x, y, bn.FQ2.one())))) is None


def square_roots(value):
    a0, a1 = (int(c) for c in value.coeffs)
    norm = pow(a0 * a0 + a1 * a1, (Q + 1) // 4, Q)
    for sign in (1, -1):
        root = pow((a0 + sign * norm) * pow(2, -1, Q), (Q + 1) // 4, Q)
        found = bn.FQ2([root, a1 * pow(2 * root, -1, Q) % Q])
        if found * found == value:
            yield found


@given(base=words, exponent=words, modulus=words)
@settings(max_examples=30, deadline=None)
def test_exponentiation(base, exponent, modulus):
    found = _precompiles.call(5, words_of(32, 32, 32, base, exponent, modulus))
    assert found == words_of(pow(base, exponent, modulus) if modulus else 0)


@pytest.mark.parametrize(
    ("address", "size"),
    [(5, 160), (6, 96), (7, 128), (8, 32), (6, 127), (1, 128), (9, 128), (0, 0)],
)
def test_unknown_contracts_and_lengths_are_refused(address, size):
    with pytest.raises(UnsupportedVerifier):
        _precompiles.call(address, bytes(size))


def test_exponentiation_of_another_width_is_refused():
    with pytest.raises(UnsupportedVerifier):
        _precompiles.call(5, words_of(64, 32, 32, 1, 2, 3))


def test_a_failed_call_leaves_memory_alone():
    source = """
        mstore(0, 1) mstore(0x20, 3) mstore(0x80, 7)
        let ok := staticcall(gas(), 6, 0, 0x80, 0x80, 0x40)
        mstore(0, ok) mstore(0x20, mload(0x80)) return(0, 0x40)
    """
    assert run(source) == words_of(0, 7)


def test_results_are_cut_to_the_room_there_is():
    source = """
        mstore(0, 1) mstore(0x20, 2) mstore(0x40, 2) mstore(0xa0, 9)
        let ok := staticcall(gas(), 7, 0, 0x60, 0x80, 0x20)
        mstore(0, ok) mstore(0x20, mload(0x80)) mstore(0x40, mload(0xa0)) return(0, 0x60)
    """
    assert run(source) == words_of(1, TWICE[0], 9)
