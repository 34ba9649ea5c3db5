"""Quorums, and the C2SP tlog-policy file that names them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tlog_world import (
    LOG,
    NOW,
    ORIGIN,
    W1,
    W2,
    W3,
    WITNESSES,
    Log,
    cosigned,
    raw_line,
    signer,
    witness_key,
)

from ledger.errors import BadNote, BadTrustPolicy, NoQuorum
from ledger.tlog.note import Checkpoint, VerifierKey
from ledger.tlog.quorum import Quorum
from ledger.tlog.trust import Party, TrustPolicy

NOTE = Log(9).note(9)
NAMES = [key.name for key in WITNESSES]


@pytest.mark.parametrize("threshold", [1, 2, 3])
@pytest.mark.parametrize("signers", [0, 1, 2, 3])
def test_k_of_n(threshold, signers):
    note = cosigned(NOTE, *NAMES[:signers])
    quorum = Quorum(threshold, WITNESSES)
    if signers >= threshold:
        assert quorum.require(note) == [(key, NOW) for key in WITNESSES[:signers]]
    else:
        with pytest.raises(NoQuorum, match="no quorum of"):
            quorum.require(note)


def test_a_key_counts_once():
    twice = cosigned(NOTE, W1.name) + cosigned(NOTE, W1.name, time=NOW + 1).split("\n\n")[1]
    with pytest.raises(NoQuorum):
        Quorum(2, WITNESSES).require(twice)
    assert Quorum(1, WITNESSES).require(twice) == [(W1, NOW + 1)]
    same = VerifierKey("witness.example/other", W1.public, "cosignature")
    with pytest.raises(BadTrustPolicy, match="counts every key once"):
        Quorum(1, (W1, same))
    with pytest.raises(BadTrustPolicy, match="counts every key once"):
        Quorum(2, (W1, Quorum(1, (same,))))


def test_strangers_do_not_count():
    note = cosigned(NOTE, W1.name, "witness.example/stranger")
    with pytest.raises(NoQuorum):
        Quorum(2, WITNESSES).require(note)


def test_a_bad_cosignature_of_a_member_spoils_the_note():
    note = cosigned(NOTE, W1.name, W2.name) + raw_line(W3.name, W3.key_id, bytes(72))
    with pytest.raises(BadNote, match="does not verify"):
        Quorum(1, WITNESSES).require(note)
    assert len(Quorum(2, (W1, W2)).require(note)) == 2


def test_groups():
    four = witness_key("witness.example/w4")
    quorum = Quorum(2, (Quorum(2, WITNESSES), four))
    assert quorum.keys == (*WITNESSES, four)
    assert len(quorum.require(cosigned(NOTE, W1.name, W3.name, four.name))) == 3
    for names in ([*NAMES], [W1.name, four.name]):
        with pytest.raises(NoQuorum, match="no quorum of 2 of \\(2 of"):
            quorum.require(cosigned(NOTE, *names))


def test_nobody_is_asked_for():
    assert Quorum(0).require(NOTE) == []
    assert str(Quorum(0)) == "0 of none"


@pytest.mark.parametrize(
    ("threshold", "members"),
    [(0, WITNESSES), (4, WITNESSES), (-1, ()), (1, ()), (1, (Quorum(0),)), (1, (LOG,))],
)
def test_no_such_quorum(threshold, members):
    with pytest.raises(BadTrustPolicy):
        Quorum(threshold, members)


# The example of the specification, with keys.
X1, X2, X3, Y1, Y2, Y3 = (witness_key(f"{x}{n}.example") for x in "xy" for n in (1, 2, 3))
EXAMPLE = f"""# Two organisations.
log {LOG}  https://log.example/tests

witness X1 {X1}
witness X2 {X2} https://x2.example
\twitness X3\t{X3}
group X-witnesses 2 X1 X2 X3

witness Y1 {Y1}
witness Y2 {Y2}
witness Y3 {Y3}
 # any of them
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def test_the_example_of_the_specification():
    policy = TrustPolicy.parse(EXAMPLE.encode())
    assert policy.logs == (Party(ORIGIN, LOG, "https://log.example/tests"),)
    assert [w.name for w in policy.witnesses] == ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    assert policy.witnesses[1] == Party("X2", X2, "https://x2.example")
    assert policy.quorum == Quorum(2, (Quorum(2, (X1, X2, X3)), Quorum(1, (Y1, Y2, Y3))))
    assert TrustPolicy.parse(policy.encode()) == policy
    good = cosigned(NOTE, X1.name, X3.name, Y2.name)
    assert policy.open(good) == Log(9).checkpoint(9)
    with pytest.raises(NoQuorum):
        policy.open(cosigned(NOTE, X1.name, X2.name, X3.name))
    stranger = Checkpoint("log.example/other", 1, bytes(32)).sign(signer("log.example/other"))
    with pytest.raises(BadNote, match="listed log"):
        policy.open(cosigned(stranger, X1.name, X3.name, Y2.name))


def test_what_a_checkpoint_says_beside_itself_is_not_taken():
    plain = Log(9).checkpoint(9)
    said = Checkpoint(ORIGIN, 9, plain.root, ("more",)).sign(signer(ORIGIN))
    policy = TrustPolicy((Party(ORIGIN, LOG),), (Party("w", W1),), Quorum(1, (W1,)))
    assert policy.open(cosigned(NOTE, W1.name)) == plain
    with pytest.raises(BadNote, match="extension lines"):
        policy.open(cosigned(said, W1.name))


def test_one_witness_and_none():
    one = TrustPolicy.parse(f"witness w {W1}\nquorum w\n".encode())
    assert one.quorum == Quorum(1, (W1,))
    none = TrustPolicy.parse(b"quorum none\n")
    assert none == TrustPolicy((), (), Quorum(0))
    assert none.encode() == b"quorum none\n"


def test_k_of_n_as_a_file():
    policy = TrustPolicy.k_of_n(2, WITNESSES, [LOG])
    assert policy.quorum == Quorum(2, WITNESSES)
    assert TrustPolicy.parse(policy.encode()) == policy


def test_names_are_octets():
    data = f"witness K {W1}\nwitness \u212a {W2}\n".encode() + (
        b"witness \xff %s\ngroup \xfe 2 K \xe2\x84\xaa \xff\nquorum \xfe\n" % str(W3).encode()
    )
    policy = TrustPolicy.parse(data)
    assert policy.quorum == Quorum(2, WITNESSES)
    assert TrustPolicy.parse(policy.encode()) == policy


ML_DSA = "x+b4bbee7c+BgAA"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no newline"),
        ("# nothing\n", "no quorum line"),
        ("quorum none", "no newline"),
        ("quorum none\r\n", "control characters"),
        ("quorum none\nquorum none\n", "line 2: a second quorum"),
        ("quorum w\n", "line 1: no witness or group 'w'"),
        ("quorum a b\n", "line 1: no such line"),
        ("Quorum none\n", "line 1: no such line"),
        ("log\nquorum none\n", "line 1: no such line"),
        ("log {log} a b\nquorum none\n", "line 1: no such line"),
        ("log {w1}\nquorum none\n", "line 1: .* another type"),
        ("log {log}\nlog {log}\nquorum none\n", "line 2: .* already"),
        ("log x\nquorum none\n", "line 1: .*name.hash.key"),
        ("log " + ML_DSA + "\nquorum none\n", "line 1: .* neither"),
        ("witness w {log}\nquorum w\n", "line 1: .* another type"),
        ("witness none {w1}\nquorum none\n", "line 1: name 'none' is taken"),
        ("witness w {w1}\nwitness w {w2}\nquorum w\n", "line 2: name 'w' is taken"),
        ("witness v {w1}\nwitness w {w1}\nquorum w\n", "line 2: .* already"),
        ("witness v {w1}\nwitness w {same}\nquorum w\n", "line 2: .* already"),
        ("log {log}\nwitness w {self}\nquorum w\n", "line 2: .* already"),
        ("quorum w\nwitness w {w1}\n", "line 1: no witness or group"),
        ("group g any w\nwitness w {w1}\nquorum g\n", "line 1: no witness or group"),
        ("group g any g\nquorum g\n", "line 1: no witness or group"),
        ("group g all\nquorum g\n", "line 1: no such line"),
        ("group g all none\nquorum g\n", "line 1: no witness or group 'none'"),
        ("witness w {w1}\ngroup g 0 w\nquorum g\n", "line 2: a quorum of 0 of 1"),
        ("witness w {w1}\ngroup g 2 w\nquorum g\n", "line 2: a quorum of 2 of 1"),
        ("witness w {w1}\ngroup g 01 w\nquorum g\n", "line 2: .* decimal"),
        ("witness w {w1}\ngroup g 1 w w\nquorum g\n", "line 2: 'w' is a member"),
        ("witness w {w1}\ngroup g 1 w\ngroup h 1 w\nquorum g\n", "line 3: 'w' is a member"),
        ("witness w {w1}\ngroup w 1 w\nquorum w\n", "line 2: name 'w' is taken"),
    ],
)
def test_refusals(text, reason):
    same = VerifierKey("witness.example/again", W1.public, "cosignature")
    own = VerifierKey("witness.example/own", LOG.public, "cosignature")
    keys = {"log": LOG, "w1": W1, "w2": W2, "same": same, "self": own}
    with pytest.raises(BadTrustPolicy, match=reason):
        TrustPolicy.parse(text.format(**keys).encode())


def test_limits():
    with pytest.raises(BadTrustPolicy, match="bytes"):
        TrustPolicy.parse(b"#" * 2**20 + b"\n")
    chain = [f"witness g0 {W1}", *(f"group g{i + 1} 1 g{i}" for i in range(65)), "quorum g1"]
    with pytest.raises(BadTrustPolicy, match="line 66: more than 64 groups"):
        TrustPolicy.parse("".join(f"{line}\n" for line in chain).encode())
    policy = TrustPolicy.parse("".join(f"{x}\n" for x in [*chain[:65], "quorum g64"]).encode())
    assert policy.quorum.require(cosigned(NOTE, W1.name)) == [(W1, NOW)]
    crowd = "".join(f"witness w{i} {witness_key(f'w{i}')}\n" for i in range(257))
    with pytest.raises(BadTrustPolicy, match="line 257: more than 256"):
        TrustPolicy.parse(f"{crowd}quorum none\n".encode())


def test_policies_that_contradict_themselves():
    witness = Party("w", W1)
    for logs, witnesses, quorum in (
        ((), (), Quorum(1, (W1,))),
        ((Party("x", W1),), (), Quorum(0)),
        ((Party(ORIGIN, LOG), Party(ORIGIN, LOG)), (), Quorum(0)),
        ((), (witness, witness), Quorum(0)),
    ):
        with pytest.raises(BadTrustPolicy):
            TrustPolicy(logs, witnesses, quorum)


GROUPS = st.recursive(
    st.sampled_from(WITNESSES),
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda members: st.integers(1, len(members)).map(lambda k: (k, tuple(members)))
    ),
    max_leaves=6,
)


def build(tree):
    return tree if isinstance(tree, VerifierKey) else Quorum(tree[0], tuple(map(build, tree[1])))


def reached(tree, cosigners):
    if isinstance(tree, VerifierKey):
        return tree in cosigners
    return sum(reached(member, cosigners) for member in tree[1]) >= tree[0]


@given(GROUPS.filter(lambda tree: isinstance(tree, tuple)), st.sets(st.sampled_from(WITNESSES)))
def test_any_tree_of_groups(tree, cosigners):
    try:
        quorum = build(tree)
    except BadTrustPolicy:
        return
    witnesses = tuple(Party(key.name, key) for key in quorum.keys)
    policy = TrustPolicy((), witnesses, quorum)
    assert TrustPolicy.parse(policy.encode()) == policy
    note = cosigned(NOTE, *(key.name for key in cosigners))
    if reached(tree, cosigners):
        assert {key for key, _ in quorum.require(note)} == cosigners & set(quorum.keys)
    else:
        with pytest.raises(NoQuorum):
            quorum.require(note)
