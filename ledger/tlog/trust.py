"""The file that says which logs and witnesses one trusts: C2SP tlog-policy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger.errors import BadKey, BadNote, BadTrustPolicy
from ledger.tlog.encoding import from_decimal
from ledger.tlog.note import Checkpoint, Note, VerifierKey
from ledger.tlog.quorum import Quorum

MAX_POLICY_BYTES = 1 << 20
# The format asks for room for 32 of a kind. Groups nest, and their depth must not be without end.
_MAX_PARTIES = 256
_MAX_GROUPS = 64
_FORBIDDEN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_SPACE = re.compile(r"[ \t]+")
_NONE = "none"


@dataclass(frozen=True)
class Party:
    """A log or a witness.

    Attributes
    ----------
    name : str
        How the file calls a witness; a log's origin.
    key : VerifierKey
        Its key.
    url : str
        Where it is reached, empty if the file does not say.
    """

    name: str
    key: VerifierKey
    url: str = ""


@dataclass(frozen=True)
class TrustPolicy:
    """The logs one reads, the witnesses one knows, and how many of these must agree.

    Attributes
    ----------
    logs, witnesses : tuple of Party
        No key twice; no log among its own witnesses.
    quorum : Quorum
        What a checkpoint of any of the logs needs.
    """

    logs: tuple[Party, ...]
    witnesses: tuple[Party, ...]
    quorum: Quorum

    def __post_init__(self) -> None:
        publics = [party.key.public for party in (*self.logs, *self.witnesses)]
        if len(set(publics)) != len(publics):
            raise BadTrustPolicy("a key is there twice, as log or as witness")
        if any(log.key.kind != "ed25519" for log in self.logs):
            raise BadTrustPolicy("the key of a log is of type 0x01")
        if not set(self.quorum.keys) <= {witness.key for witness in self.witnesses}:
            raise BadTrustPolicy("the quorum has a key that is no witness's")

    @classmethod
    def k_of_n(
        cls, threshold: int, witnesses: Iterable[VerifierKey], logs: Iterable[VerifierKey] = ()
    ) -> TrustPolicy:
        """Return the policy that asks for any `threshold` of the witnesses."""
        parties = tuple(Party(key.name, key) for key in witnesses)
        quorum = Quorum(threshold, tuple(party.key for party in parties))
        return cls(tuple(Party(key.name, key) for key in logs), parties, quorum)

    @classmethod
    def parse(cls, data: bytes) -> TrustPolicy:
        """Read a policy file.

        Raises
        ------
        BadTrustPolicy
            If it is malformed, with the line; or if it trusts a key type that cannot be
            verified here.
        """
        if len(data) > MAX_POLICY_BYTES:
            raise BadTrustPolicy(f"policy has more than {MAX_POLICY_BYTES} bytes")
        if not data.endswith(b"\n"):
            raise BadTrustPolicy("the last line has no newline: the file may be cut short")
        if _FORBIDDEN.search(data):
            raise BadTrustPolicy("policy has control characters beside tab and newline")
        # Names are octets to the format. Those that are not UTF-8 stay distinct this way.
        lines = data.decode(errors="surrogateescape")[:-1].split("\n")
        reader = _Reader()
        for number, line in enumerate(lines, 1):
            items = [item for item in _SPACE.split(line) if item]
            if not items or items[0].startswith("#"):
                continue
            try:
                reader.read(items)
            except (BadKey, BadNote, BadTrustPolicy) as error:
                raise BadTrustPolicy(f"line {number}: {error.message}", line=number) from None
        if reader.quorum is None:
            raise BadTrustPolicy("policy has no quorum line")
        return cls(tuple(reader.logs), tuple(reader.witnesses), reader.quorum)

    def encode(self) -> bytes:
        """Return a policy file that says the same."""
        names = {witness.key: witness.name for witness in self.witnesses}
        lines = [f"log {log.key} {log.url}" for log in self.logs]
        lines += [f"witness {w.name} {w.key} {w.url}" for w in self.witnesses]
        taken = set(names.values())

        def group(quorum: Quorum) -> str:
            members = [group(m) if isinstance(m, Quorum) else names[m] for m in quorum.members]
            if not members:
                return _NONE
            number = len(taken)
            while (name := f"group-{number}") in taken:
                number += 1
            taken.add(name)
            lines.append(f"group {name} {quorum.threshold} {' '.join(members)}")
            return name

        top = group(self.quorum)
        lines.append(f"quorum {top}")
        text = "".join(f"{line.rstrip()}\n" for line in lines)
        return text.encode(errors="surrogateescape")

    def open(self, note: str) -> Checkpoint:
        """Read a checkpoint of one of the logs, cosigned by the quorum.

        Raises
        ------
        NoQuorum
            If too few witnesses cosigned it.
        BadNote
            If it is not a checkpoint that one of the logs signed.
        """
        parsed = Note.parse(note)
        checkpoint = Checkpoint.parse(parsed.text)
        logs = (p.key for p in self.logs if p.key.name == checkpoint.origin)
        if not [signature for key in logs for signature in parsed.verified(key)]:
            raise BadNote(f"checkpoint of {checkpoint.origin!r} is not signed by a listed log")
        if checkpoint.extensions:
            raise BadNote("checkpoint has extension lines, which nobody here can check")
        self.quorum.require(note)
        return checkpoint


@dataclass
class _Reader:
    """What the lines so far have defined."""

    logs: list[Party] = field(default_factory=list)
    witnesses: list[Party] = field(default_factory=list)
    quorum: Quorum | None = None
    _names: dict[str, VerifierKey | Quorum] = field(default_factory=dict)
    _members: set[str] = field(default_factory=set)

    def read(self, items: list[str]) -> None:
        match items:
            case ["log", vkey, *url] if len(url) <= 1:
                key = VerifierKey.parse(vkey)
                self._add(self.logs, Party(key.name, key, "".join(url)), "ed25519")
            case ["witness", name, vkey, *url] if len(url) <= 1:
                key = VerifierKey.parse(vkey)
                self._define(name, key)
                self._add(self.witnesses, Party(name, key, "".join(url)), "cosignature")
            case ["group", name, threshold, _, *_]:
                self._define(name, self._group(threshold, items[3:]))
            case ["quorum", name]:
                if self.quorum is not None:
                    raise BadTrustPolicy("a second quorum line")
                self.quorum = self._quorum(name)
            case _:
                raise BadTrustPolicy(f"no such line: {' '.join(items)!r}")

    def _add(self, parties: list[Party], party: Party, kind: str) -> None:
        if party.key.kind != kind:
            raise BadTrustPolicy(f"{party.key} is of another type than its line needs")
        if any(party.key.public == known.key.public for known in (*self.logs, *self.witnesses)):
            raise BadTrustPolicy(f"key of {party.name!r} is there already")
        if len(parties) == _MAX_PARTIES:
            raise BadTrustPolicy(f"more than {_MAX_PARTIES} of a kind")
        parties.append(party)

    def _define(self, name: str, meaning: VerifierKey | Quorum) -> None:
        if name == _NONE or name in self._names:
            raise BadTrustPolicy(f"name {name!r} is taken")
        self._names[name] = meaning

    def _group(self, threshold: str, members: list[str]) -> Quorum:
        if sum(isinstance(meaning, Quorum) for meaning in self._names.values()) == _MAX_GROUPS:
            raise BadTrustPolicy(f"more than {_MAX_GROUPS} groups")
        found = []
        for name in members:
            if name not in self._names:
                raise BadTrustPolicy(f"no witness or group {name!r} above this line")
            # A witness that counted in two groups could be a quorum of its own.
            if name in self._members:
                raise BadTrustPolicy(f"{name!r} is a member of a group already")
            self._members.add(name)
            found.append(self._names[name])
        words = {"all": len(found), "any": 1}
        count = words[threshold] if threshold in words else from_decimal(threshold)
        return Quorum(count, (*found,))

    def _quorum(self, name: str) -> Quorum:
        if name == _NONE:
            return Quorum(0)
        if name not in self._names:
            raise BadTrustPolicy(f"no witness or group {name!r} above this line")
        meaning = self._names[name]
        return meaning if isinstance(meaning, Quorum) else Quorum(1, (meaning,))
