"""What a ledger should do, said again in plain dicts and by names, without a line of `ledger`.

`Model.reasons` returns every code with which an action may be refused; none if it must be
accepted. `Model.do` then does it. What is compared are the outcomes, never the code.
"""

from collections import Counter
from fractions import Fraction

SAMPLES, MINIMUM, ETA = 100, 50, 2
SETS = {"s0": 7, "s1": 5}
PEOPLE = ("operator", "evaluator", "alice", "bob", "carol", "dave", "erin")
GRANT = 1000
CHARTER = {
    "number": 0,
    "governors": ("alice", "bob", "carol"),
    "threshold": 2,
    "owners": ("carol", "operator"),
    "max_pool": 1500,
    "bond_entries": 4,
    "share": Fraction(1, 3),
}
# Changes of the charter that are proposed now and then.
CHARTERS = (
    {},
    {"max_pool": 1000},
    {"bond_entries": 0, "share": Fraction(0)},
    {"governors": ("alice", "dave"), "threshold": 1},
    {"governors": ("erin",), "threshold": 1},
    {"owners": ("operator",)},
)


def spec(**fields):
    """Terms of a task; windows are commit, release, prove."""
    terms = {
        "prover": "evaluator", "rounds": 2, "pool": 1000, "each": 2, "openings": 4,
        "rule": "gain", "bond": 0, "evaluator_bond": 0, "unit": "entries", "windows": (0, 0, 0),
    }  # fmt: skip
    return {**terms, **fields}


SPECS = {
    "plain": spec(each=1),
    "given": spec(prover="contributor", rounds=1),
    "greedy": spec(pool=2000),
    "timed": spec(windows=(15, 6, 15), bond=20, evaluator_bond=50),
    "best": spec(rule="best", rounds=1, windows=(8, 5, 12)),
    "equal": spec(
        rule="equal", rounds=1, prover="contributor", unit="seconds", windows=(8, 6, 10), bond=10,
        evaluator_bond=30, pool=1001,
    ),
    "handed": spec(
        prover="contributor", rounds=1, windows=(6, 6, 12), bond=5, evaluator_bond=20
    ),
    "many": spec(openings=8),
}  # fmt: skip


class Model:
    def __init__(self):
        self.size, self.time = 1, 0
        self.people = {"operator": {"key": 0, "keys": {0: None}, "revoked": False, "nonce": 1}}
        self.balances = dict.fromkeys(PEOPLE[:-1], GRANT)
        self.bonds, self.slashed, self.burned = {}, set(), 0
        self.minted = GRANT * len(self.balances)
        self.sets, self.training, self.tasks = {}, set(), []
        self.nullifiers, self.proofs, self.releases = set(), {}, []
        self.charter = dict(CHARTER)

    # What is asked of it

    def reasons(self, a):
        found = set()
        person = self.people.get(a.who)
        if a.kind == "register":
            if person:
                return {"ALREADY_REGISTERED"}
            return {"BAD_SIGNATURE"} if a.key else set()
        if not person:
            return {"NOT_AUTHORISED"}
        if person["revoked"]:
            return {"REVOKED"}
        if a.key is not None and a.key != person["key"]:
            return {"BAD_SIGNATURE"}
        if a.task is not None and a.task >= len(self.tasks) and a.kind != "unbond":
            return {"UNKNOWN_TASK"}
        getattr(self, f"_may_{a.kind}")(a, found.add)
        return found

    def do(self, a):
        """Count an accepted action; returns who is paid for it."""
        index = self.size
        self.size += 1
        if a.kind == "register":
            self.people[a.who] = {"key": 0, "keys": {0: None}, "revoked": False, "nonce": 0}
        self.people[a.who]["nonce"] += 1
        paid = getattr(self, f"_do_{a.kind}", lambda *_: None)(a, index) or []
        for who, amount in paid:
            self.size += 1
            self.minted += amount
            self._give(who, amount)
        return paid

    def total(self):
        return sum(self.balances.values()) + sum(bond[0] for bond in self.bonds.values())

    # Small things

    def _give(self, who, amount):
        self.balances[who] = self.balances.get(who, 0) + amount

    def now(self, task):
        return self.size if task["terms"]["unit"] == "entries" else self.time

    def evaluator(self, task):
        return self.sets[task["set"]]["owner"]

    def locked(self, who, subject):
        return self.bonds.get((who, subject), (0, None))[0]

    def unreleased(self, task):
        commit, release, _ = task["terms"]["windows"]
        missing = len(task["releases"]) < task["terms"]["rounds"]
        return bool(missing and release and self.now(task) >= task["opened"] + commit + release)

    def over(self, task):
        if len(task["releases"]) < task["terms"]["rounds"] and not self.unreleased(task):
            return False
        if not task["releases"]:
            return True
        prove = task["terms"]["windows"][2]
        return bool(prove and self.now(task) >= task["releases"][-1] + prove)

    def _approved(self, approvers, no):
        if len(approvers) < self.charter["threshold"]:
            return no("NOT_APPROVED")
        for who in approvers:
            if who not in self.charter["governors"] or who not in self.people:
                no("NOT_AUTHORISED")
            elif self.people[who]["revoked"]:
                no("REVOKED")
        return None

    # Identities

    def _may_rotate(self, a, no):
        if a.who == "operator":
            no("NOT_AUTHORISED")
        if a.new in self.people[a.who]["keys"]:
            no("ALREADY_REGISTERED")
        if a.forged:
            no("BAD_SIGNATURE")

    def _do_rotate(self, a, index):
        person = self.people[a.who]
        person["keys"][person["key"]] = index
        person["keys"][a.new] = None
        person["key"] = a.new

    def _may_revoke(self, a, no):
        if a.to == "operator" or a.to not in self.people:
            return no("NOT_AUTHORISED")
        if self.people[a.to]["revoked"]:
            no("REVOKED")
        if a.to != a.who or a.approvers:
            self._approved(a.approvers, no)
        return None

    def _do_revoke(self, a, index):
        self.people[a.to]["revoked"] = True

    # Governance

    def _may_charter(self, a, no):
        if a.number != self.charter["number"] + 1:
            no("WRONG_PHASE")
        self._approved(a.approvers, no)
        for who in {**CHARTER, **CHARTERS[a.variant]}["governors"]:
            if who not in self.people:
                no("NOT_AUTHORISED")
            elif self.people[who]["revoked"]:
                no("REVOKED")

    def _do_charter(self, a, index):
        self.charter = {**CHARTER, **CHARTERS[a.variant], "number": a.number}

    def _may_clock(self, a, no):
        if a.who != "operator":
            no("NOT_AUTHORISED")
        if a.time <= self.time:
            no("WRONG_PHASE")

    def _do_clock(self, a, index):
        self.time = a.time

    # Data and models

    def _may_testset(self, a, no):
        if a.name in self.sets or a.name in self.training:
            no("ALREADY_REGISTERED")

    def _do_testset(self, a, index):
        self.sets[a.name] = {"owner": a.who, "spent": 0, "opened": False}

    def _may_training(self, a, no):
        self._may_testset(a, no)
        if any(p not in self.sets and p not in self.training for p in a.parents):
            no("UNKNOWN_DATA")

    def _do_training(self, a, index):
        self.training.add(a.name)

    def _may_publish(self, a, no):
        if (a.who, a.name) in [(r["owner"], r["name"]) for r in self.releases]:
            no("ALREADY_REGISTERED")
        if a.proof is not None:
            proof = self.proofs.get(a.proof)
            if proof is None or (proof[0], proof[2], proof[3]) != (a.task, a.who, a.model):
                no("STATEMENT_MISMATCH")
        if any(parent not in self.training for parent in a.parents):
            no("UNKNOWN_DATA")

    def _do_publish(self, a, index):
        self.releases.append({"owner": a.who, "name": a.name, "model": a.model})

    def _may_predict(self, a, no):
        if a.release >= len(self.releases):
            no("UNKNOWN_RELEASE")
        elif self.releases[a.release]["owner"] != a.who:
            no("NOT_AUTHORISED")

    def _may_audit(self, a, no):
        if a.release >= len(self.releases):
            return no("UNKNOWN_RELEASE")
        release, proof = self.releases[a.release], self.proofs.get(a.proof)
        if proof is None or (proof[2], proof[3]) != (release["owner"], release["model"]):
            no("STATEMENT_MISMATCH")
        return None

    # Tasks

    def _may_open(self, a, no):
        terms = SPECS[a.name]
        if a.who not in self.charter["owners"]:
            no("NOT_AUTHORISED")
        if a.set not in self.sets:
            return no("UNKNOWN_TESTSET")
        if self.sets[a.set]["opened"] or (terms["unit"] == "seconds" and not self.time):
            no("WRONG_PHASE")
        if terms["pool"] > self.charter["max_pool"] or terms["openings"] > SETS[a.set]:
            no("OVER_BUDGET")
        return None

    def _do_open(self, a, index):
        task = {
            "terms": SPECS[a.name], "set": a.set, "charter": self.charter, "releases": [],
            "opening": {}, "commits": set(), "counts": Counter(), "passed": {}, "proven": Counter(),
            "step": 0, "closed": False,
        }  # fmt: skip
        task["opened"] = index if SPECS[a.name]["unit"] == "entries" else self.time
        self.tasks.append(task)

    def _commit_phase(self, task, round_, no):
        released = len(task["releases"])
        if task["closed"] or round_ != released or round_ >= task["terms"]["rounds"]:
            no("WRONG_PHASE")

    def _may_commit(self, a, no):
        task = self.tasks[a.task]
        terms, window = task["terms"], task["terms"]["windows"][0]
        self._commit_phase(task, a.round, no)
        if self.sets[task["set"]]["opened"]:
            no("WRONG_PHASE")
        if window and self.now(task) >= task["opened"] + window:
            no("TOO_LATE")
        evaluator = self.evaluator(task)
        need = terms["bond"] * (task["counts"][a.who] + 1)
        need += terms["evaluator_bond"] * (a.who == evaluator)
        if self.locked(a.who, a.task) < need:
            no("NOT_BONDED")
        if self.locked(evaluator, a.task) < terms["evaluator_bond"]:
            no("NOT_BONDED")
        if a.author != a.who:
            no("STATEMENT_MISMATCH")
        if (a.round, a.who, a.model) in task["commits"]:
            no("ALREADY_REGISTERED")

    def _do_commit(self, a, index):
        task = self.tasks[a.task]
        task["commits"].add((a.round, a.who, a.model))
        task["counts"][a.who] += 1

    def _may_release(self, a, no):
        task = self.tasks[a.task]
        commit, release, _ = task["terms"]["windows"]
        if a.who != self.evaluator(task):
            no("NOT_AUTHORISED")
        self._commit_phase(task, a.round, no)
        if commit and self.now(task) < task["opened"] + commit:
            no("WRONG_PHASE")
        if release and self.now(task) >= task["opened"] + commit + release:
            no("TOO_LATE")
        given = task["terms"]["prover"] == "contributor"
        if given and task["terms"]["evaluator_bond"] and a.name is None:
            no("OPENING_NOT_NAMED")

    def _do_release(self, a, index):
        task = self.tasks[a.task]
        task["opened"] = index if task["terms"]["unit"] == "entries" else self.time
        task["releases"].append(task["opened"])
        task["counts"] = Counter()
        if a.name is not None:
            task["opening"][a.name] = a.round
        if task["terms"]["prover"] == "contributor":
            self.sets[task["set"]]["opened"] = True

    def _may_prove(self, a, no):
        task = self.tasks[a.task]
        terms, known = task["terms"], self.sets[task["set"]]
        prove = terms["windows"][2]
        if task["closed"] or a.round >= len(task["releases"]):
            no("WRONG_PHASE")
        elif prove and self.now(task) >= task["releases"][a.round] + prove:
            no("TOO_LATE")
        if a.author != a.who:
            no("WRONG_CONTEXT")
        if a.forged:
            no("STATEMENT_MISMATCH")
        if (a.round, a.who, a.model) not in task["commits"]:
            no("NOT_COMMITTED")
        if (a.task, a.round, a.model, task["set"]) in self.nullifiers:
            no("NULLIFIER_SPENT")
        if (
            task["proven"][a.who] >= terms["each"]
            or sum(task["proven"].values()) >= terms["openings"]
            or known["spent"] >= SETS[task["set"]]
        ):
            no("OVER_BUDGET")
        if a.correct < MINIMUM:
            no("BELOW_POLICY")

    def _do_prove(self, a, index):
        task = self.tasks[a.task]
        self.nullifiers.add((a.task, a.round, a.model, task["set"]))
        self.proofs[index] = (a.task, a.round, a.who, a.model, a.correct)
        self.sets[task["set"]]["spent"] += 1
        task["proven"][a.who] += 1
        if a.correct > task["passed"].get(a.who, (-1, 0))[0]:
            task["passed"][a.who] = (a.correct, index)
        if task["terms"]["rule"] != "gain":
            return []
        # The Ladder: whole steps of 2 % above 50 %, of which there are 25.
        gain = a.correct - (MINIMUM + ETA * task["step"])
        if gain <= ETA:
            return []
        before, after = task["step"], task["step"] + gain // ETA
        pool = task["terms"]["pool"]
        amount = pool * after * ETA // (SAMPLES - MINIMUM) - pool * before * ETA // (
            SAMPLES - MINIMUM
        )
        if amount:
            task["step"] = after
        return [(a.who, amount)] if amount else []

    def _may_close(self, a, no):
        task = self.tasks[a.task]
        if task["closed"] or not self.over(task):
            no("WRONG_PHASE")

    def _do_close(self, a, index):
        task = self.tasks[a.task]
        task["closed"] = True
        order = sorted(task["passed"].items(), key=lambda item: item[1][1])
        pool = task["terms"]["pool"]
        if not order or task["terms"]["rule"] == "gain":
            return []
        if task["terms"]["rule"] == "equal":
            share = pool // len(order)
            return [(who, share) for who, _ in order] if share else []
        best = max(correct for _, (correct, _) in order)
        return [next((who, pool) for who, (correct, _) in order if correct == best)]

    # Money

    def _may_transfer(self, a, no):
        if a.to not in self.people:
            no("NOT_AUTHORISED")
        elif self.people[a.to]["revoked"]:
            no("REVOKED")
        if self.balances.get(a.who, 0) < a.amount:
            no("INSUFFICIENT_FUNDS")

    def _do_transfer(self, a, index):
        self._give(a.who, -a.amount)
        self._give(a.to, a.amount)

    def _may_bond(self, a, no):
        if a.task is not None:
            task = self.tasks[a.task]
            if task["closed"]:
                no("WRONG_PHASE")
            if not task["terms"]["bond"] + task["terms"]["evaluator_bond"]:
                no("NOT_AUTHORISED")
        if self.balances.get(a.who, 0) < a.amount:
            no("INSUFFICIENT_FUNDS")

    def _do_bond(self, a, index):
        self._give(a.who, -a.amount)
        self.bonds[a.who, a.task] = (self.locked(a.who, a.task) + a.amount, None)

    def _may_unbond(self, a, no):
        if (a.who, a.task) not in self.bonds:
            no("NOT_BONDED")
        elif a.task is None:
            until = self.bonds[a.who, None][1]
            if until is not None and self.size < until:
                no("WRONG_PHASE")
        else:
            task = self.tasks[a.task]
            missing = len(task["releases"]) < task["terms"]["rounds"]
            if not task["closed"] or (a.who == self.evaluator(task) and missing):
                no("WRONG_PHASE")

    def _do_unbond(self, a, index):
        amount, until = self.bonds.pop((a.who, a.task))
        if a.task is None and until is None:
            self.bonds[a.who, None] = (amount, index + self.charter["bond_entries"])
        else:
            self._give(a.who, amount)

    def _fault(self, a):
        """What a fault is remembered by."""
        return {"equivocation": (a.to, a.size), "no-release": (a.to, a.task)}.get(
            a.fault, (a.to, a.task, a.name)
        )

    def _may_slash(self, a, no):
        if a.fault == "equivocation":
            if a.to not in self.people:
                return no("NOT_AUTHORISED")
            left = self.people[a.to]["keys"].get(a.new, -1)
            liable = left is None or 0 <= self.size - left <= self.charter["bond_entries"]
            if a.forged or left == -1 or not liable:
                no("NO_FAULT")
        else:
            task = self.tasks[a.task]
            if a.to != self.evaluator(task) or a.forged:
                no("NO_FAULT")
            if a.fault == "no-release" and not self.unreleased(task):
                no("NO_FAULT")
            if a.fault == "invalid-reveal" and a.name not in task["opening"]:
                no("NO_FAULT")
        if (a.fault, self._fault(a)) in self.slashed:
            no("ALREADY_REGISTERED")
        if not self.locked(a.to, a.task):
            no("NOT_BONDED")
        return None

    def _do_slash(self, a, index):
        self.slashed.add((a.fault, self._fault(a)))
        amount, _ = self.bonds.pop((a.to, a.task))
        charter = self.charter if a.task is None else self.tasks[a.task]["charter"]
        share = int(amount * charter["share"])
        self.burned += amount - share
        self._give(a.who, share)
