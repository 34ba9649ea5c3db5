"""An honest prover in plain loops over Python numbers, written from docs/protocol.md.

It keeps every vector as a list and is only for toy sizes. `World` holds the committed values, which
a test may change to see which constraints notice.
"""

import itertools
import math
import secrets as system

import numpy as np

from circuits.forward import forward
from circuits.layers import INPUT, MaxPool, Requantise, windows
from circuits.network import parameter_shapes
from circuits.sumcheck.channel import Channel
from circuits.sumcheck.commitment import commit, commit_proof, feature_rows
from circuits.sumcheck.field_arrays import from_signed
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.field_k import ONE, ZERO, K, to_array
from circuits.sumcheck.proof_bytes import Proof, encode
from circuits.sumcheck.public import AccuracyInput, Outputs, WellFormedInput
from circuits.sumcheck.reduction import reduce
from circuits.sumcheck.transcript import Transcript
from prover.sumcheck.opening import open_matrices


def random_k():
    return K(system.randbelow(MODULUS), system.randbelow(MODULUS))


def total(terms):
    return sum(terms, ZERO)


def eq(point):
    """eq(point, x) for all x, variable 0 lowest."""
    table = [ONE]
    for r in point:
        table = [t * (1 - r) for t in table] + [t * r for t in table]
    return table


def fold(table, x):
    return [low + (high - low) * x for low, high in zip(table[::2], table[1::2], strict=True)]


def dot(a, b):
    return total(x * y for x, y in zip(a, b, strict=True))


def padded(rows, length):
    """The rows one after the other, then zeros, as elements of K."""
    flat = [K.of(int(value)) for row in rows for value in row]
    return flat + [ZERO] * (length - len(flat))


class SlowRounds:
    """Sumcheck of ``form`` over tables; with `point`, eq(point, .) is factored out."""

    def __init__(self, tables, form, nodes, claims=lambda ends: ends, point=None):
        self.tables, self.form, self.nodes, self.point = tables, form, nodes, point
        self.round, self.at_end = 0, claims

    def message(self):
        found = []
        for node in self.nodes:
            columns = zip(*(fold(table, K(node)) for table in self.tables), strict=True)
            values = [self.form(*column) for column in columns]
            if self.point is None:
                found.append(total(values))
            else:
                found.append(dot(eq(self.point[self.round + 1 :]), values))
        return found

    def bind(self, c):
        self.tables = [fold(table, c) for table in self.tables]
        self.round += 1

    def claims(self):
        return self.at_end([table[0] for table in self.tables])


class SlowLookups:
    def __init__(self, leaves):
        self.layers = [leaves]
        while len(self.layers[-1]) > 1:
            nodes = self.layers[-1]
            pairs = zip(nodes[::2], nodes[1::2], strict=True)
            self.layers.append([(p0 * q1 + p1 * q0, q0 * q1) for (p0, q0), (p1, q1) in pairs])
        self.layers.reverse()

    def layer(self, j, point, combine):
        below = self.layers[j + 1]
        even, odd = below[::2], below[1::2]
        tables = [
            [p for p, _ in even],
            [p for p, _ in odd],
            [q for _, q in even],
            [q for _, q in odd],
        ]

        def form(p0, p1, q0, q1):
            return combine * (p0 * q1 + p1 * q0) + q0 * q1

        return SlowRounds(tables, form, (0, 2), point=point)


class World:
    """The committed values of a proof, and what follows from them.

    `shard` and `proof` are lists of features, each a list of 2^a integers; `model` a list of slots.
    """

    def __init__(self, relation, samples, x, labels, groups=None, weights=None):
        self.relation, self.samples = relation, samples
        self.size = 1 << relation.a
        shard = relation.shard
        self.shard = np.zeros((shard.features, self.size), np.int64)
        self.shard[: shard.inputs, :samples] = x.reshape(samples, -1).T
        for n in range(samples):
            self.shard[shard.inputs + labels[n], n] = 1
            if shard.groups:
                self.shard[shard.inputs + shard.classes + groups[n], n] = 1
        self.proof = np.zeros((relation.proof.features, self.size), object)
        self.model = None
        self.pads = [random_k() for _ in range(relation.schedule.pads)]
        if relation.model is not None:
            self.commit_model(weights)
            self.run_network()
            self.commit_predictions()
        self.set_pairs()
        self.count_lookups()
        self.set_product_pads()

    def set_product_pads(self):
        plan, pads = self.relation.schedule, self.pads
        for j, (x, y) in enumerate(plan.products):
            z = plan.messages + 3 * j
            pads[z] = pads[x] * pads[y]
            pads[z + 2] = pads[z + 1] * pads[y]

    def statement(self):
        """The public input of an honest proof."""
        relation, samples = self.relation, self.samples
        if relation.model is None:
            return WellFormedInput(relation.profile.kappa, relation.a, "00" * 32, samples)
        ids = dict.fromkeys(("circuit", "testset", "commitment", "model", "context"), "00" * 32)
        return AccuracyInput(**ids, shard=0, samples=samples, outputs=self.outputs())

    def commit_model(self, weights):
        model = self.relation.model
        self.weights = {name: array.copy() for name, array in weights.items()}
        self.model = np.zeros(model.rows << model.kappa, np.int64)
        for name in parameter_shapes(self.relation.architecture):
            self.model[model.span(name)] = self.weights[name].reshape(-1)

    # the network

    def run_network(self):
        """All tensors [elements, 2^a]; activations into the proof's features."""
        network, layout = self.relation.architecture, self.relation.proof
        x = self.shard[: self.relation.shard.inputs].T
        self.tensors = {INPUT: x.T.copy()}
        split = {s.layer for s in self.relation.lookups if s.kind == "quotient"}
        found = forward(network.layers, self.weights, x, lambda _: np.int64, average=False)
        for name, value in found:
            self.tensors[name] = value.T.copy()
            layer = network.layer(name)
            given = self.tensors[layer.inputs[0]]
            if isinstance(layer, Requantise):
                self.proof[layout.span("output", name)] = self.tensors[name]
                if name in split:
                    self.proof[layout.span("quotient", name)] = (given + layer.half) >> layer.shift
            if isinstance(layer, MaxPool):
                _, u, _ = self.chain(layer)
                self.proof[layout.span("increments", name)] = u

    def chain(self, layer):
        """Differences and increments of a max pool, and its output (section 4.3)."""
        x = self.tensors[layer.inputs[0]]
        d, u, last = [], [], []
        for window in windows(layer).reshape(-1, layer.fan_in):
            real = [x[i] for i in window if i >= 0]
            m = real[0]
            for tap in real[1:]:
                d.append(m - tap)
                u.append(np.maximum(d[-1], 0))
                m = tap + u[-1]
            last.append(m)
        shape = (len(d), self.size)
        return np.array(d).reshape(shape), np.array(u).reshape(shape), np.array(last)

    def commit_predictions(self):
        relation, layout = self.relation, self.relation.proof
        logits = self.tensors[relation.architecture.output]
        best = logits.argmax(axis=0)
        predictions = (np.arange(len(logits))[:, None] == best).astype(np.int64)
        self.proof[layout.span("logits")] = logits
        self.proof[layout.span("predictions")] = predictions
        self.proof[layout.span("maximum")] = logits.max(axis=0)
        self.commit_limbs()

    def margins(self):
        layout = self.relation.proof
        a, p, m = (self.proof[layout.span(n)] for n in ("logits", "predictions", "maximum"))
        later = np.array([p[c + 1 :].sum(axis=0) for c in range(len(p))])
        return m - a - later

    def commit_limbs(self):
        limbs, classes = self.relation.limbs, self.relation.shard.classes
        span = self.relation.proof.span("limbs")
        for i in range(1, limbs.count):
            digits = self.margins() >> (limbs.width * i)
            if i < limbs.count - 1:
                digits = digits % (1 << limbs.width)
            start = span.start + (i - 1) * classes
            self.proof[start : start + classes] = digits

    # the lookups

    def set_pairs(self):
        """The pairs that every lookup slot claims, [slots, 2^a]."""
        parts = [self.pairs_of(segment) for segment in self.relation.lookups]
        self.first = np.concatenate([part[0] for part in parts]).astype(object)
        self.second = np.concatenate([part[1] for part in parts]).astype(object)

    def pairs_of(self, segment):
        relation, layout = self.relation, self.relation.proof
        kind = segment.kind
        if kind == "input":
            values = self.shard[: relation.shard.inputs]
        elif kind == "weight":
            values = self.model[: segment.count * self.size].reshape(-1, self.size)
        elif kind == "limb":
            limbs, classes = relation.limbs, relation.shard.classes
            digits = self.proof[layout.span("limbs")].reshape(-1, classes, self.size)
            values = digits[segment.limb - 1] if segment.limb else self.margins()
            if not segment.limb:
                for i, digit in enumerate(digits, 1):
                    values = values - (digit << (limbs.width * i))
        else:
            layer = relation.architecture.layer(segment.layer)
            given = self.tensors[layer.inputs[0]]
            if kind == "increment":
                return self.chain(layer)[0], self.proof[layout.span("increments", layer.name)]
            output = self.proof[layout.span("output", layer.name)]
            quotient = self.proof[layout.span("quotient", layer.name)]
            if kind == "direct":
                return given, output
            if kind == "quotient":
                return quotient, output
            values = given + layer.half - (quotient << layer.shift)
        return values, np.zeros_like(values)

    def entries(self):
        """(tag, [t0, t1] by leaf) of every table slot."""
        for segment in self.relation.table_slots:
            table = self.relation.table(segment)
            for leaf in range(segment.count * self.size):
                v = min(table.lo + leaf, table.hi)
                w = min(max((v + table.half) >> table.shift, table.low), table.high)
                yield segment.tag, v, w

    def count_lookups(self):
        span = self.relation.proof.span("multiplicities")
        places = {}
        for leaf, entry in enumerate(self.entries()):
            places.setdefault(entry, leaf)
        counts = np.zeros((span.stop - span.start) * self.size, object)
        for segment in self.relation.lookups:
            for slot, n in itertools.product(
                range(segment.start, segment.start + segment.count), range(self.size)
            ):
                place = places.get(
                    (segment.tag, int(self.first[slot, n]), int(self.second[slot, n]))
                )
                if place is not None:
                    counts[place] += 1
        self.proof[span] = counts.reshape(-1, self.size)

    def leaves(self, alpha, gamma):
        found = []
        for segment in self.relation.lookups:
            for slot in range(segment.start, segment.start + segment.count):
                for v0, v1 in zip(self.first[slot], self.second[slot], strict=True):
                    value = gamma * int(v1) + gamma * gamma * segment.tag + int(v0)
                    found.append((ONE, alpha - value))
        counts = self.proof[self.relation.proof.span("multiplicities")].reshape(-1)
        for (tag, v, w), count in zip(self.entries(), counts, strict=True):
            found.append((K.of(-int(count)), alpha - (gamma * w + gamma * gamma * tag + v)))
        return found + [(ZERO, ONE)] * ((1 << self.relation.depth) - len(found))

    # what a proof claims

    def outputs(self):
        relation, metrics = self.relation, self.relation.metrics
        classes = relation.shard.classes
        y = self.shard[relation.shard.label_span, : self.samples]
        p = self.proof[relation.proof.span("predictions"), : self.samples]
        g = self.shard[relation.shard.group_span, : self.samples]
        table = [[int((y[t] * p[c]).sum()) for c in range(classes)] for t in range(classes)]
        per_class = tuple((table[c][c], int(y[c].sum())) for c in range(classes))
        hits = (y * p).sum(axis=0)
        groups = tuple((int((row * hits).sum()), int(row.sum())) for row in g)
        return Outputs(
            sum(correct for correct, _ in per_class),
            per_class if metrics.per_class else (),
            tuple(map(tuple, table)) if metrics.confusion else (),
            groups if metrics.groups else (),
        )

    # Secrets

    def zero_check(self, challenges):
        relation, size = self.relation, self.size
        shard, layout = relation.shard, relation.proof
        columns = 1 << relation.zero_bits
        length = columns * size
        weight = eq(challenges.tau)
        if relation.model is None:
            b = padded(self.shard[shard.inputs :], length)
            return SlowRounds(
                [weight, b], lambda e, b: e * (b * b - b), (0, 2, 3), claims=lambda ends: ends[1:]
            )
        classes = shard.classes
        a, p, m = (self.proof[layout.span(n)] for n in ("logits", "predictions", "maximum"))
        y, g = self.shard[shard.label_span], self.shard[shard.group_span]

        def spread(row, columns_of=None):
            """One row under every column, times a weight of the column."""
            columns_of = columns_of or [ONE] * columns
            return [value * by for by in columns_of for value in row]

        def mixed(weights, rows):
            return [
                total(w * int(v) for w, v in zip(weights, column, strict=True))
                for column in zip(*rows, strict=True)
            ]

        real = [K(int(n < self.samples)) for n in range(size)]
        zeros = [ZERO] * size
        omega = challenges.omega + [ZERO] * (columns - classes)
        gamma = mixed(challenges.psi, g) if challenges.psi else zeros
        true = mixed(challenges.theta, y) if challenges.theta else zeros
        guess = mixed(challenges.phi, p) if challenges.phi else zeros
        first = [ONE] + [ZERO] * (columns - 1)
        tables = [
            weight,
            padded(p, length),
            padded(m - a, length),
            padded(y, length),
            spread(real, omega),
            spread(gamma),
            spread(real, first),
            spread(true),
            spread(guess),
        ]
        beta = challenges.beta

        def form(e, p, d, y, w, gamma, s, true, guess):
            zero = e * (p * p - p + beta * (p * d))
            return zero + w * p * y + gamma * p * y + s * true * guess

        def claims(ends):
            _, p, d, y, _, gamma, _, true, guess = ends
            sent = [p, d, y]
            if challenges.psi:
                sent += [p * y, gamma]
            if challenges.theta:
                sent += [true, guess]
            return sent

        return SlowRounds(tables, form, (0, 2, 3), claims=claims)

    def lookups(self, alpha, gamma):
        return SlowLookups(self.leaves(alpha, gamma))

    def linear(self, rho, accumulators):
        weights = eq([K(*pair) for pair in rho.tolist()])
        z, m = [], []
        for item in self.relation.linear:
            layer = item.layer
            given = self.tensors[layer.inputs[0]]
            e = [K(*pair) for pair in accumulators[layer.name].tolist()]
            z += [dot(weights, map(int, row)) for row in given]
            part = [ZERO] * len(given)
            for i, k, o in uses(layer):
                part[i] += e[o] * int(self.weights[f"{layer.name}.weight"].reshape(-1)[k])
            m += part
        empty = [ZERO] * ((1 << self.relation.input_bits) - len(z))
        return SlowRounds([z + empty, m + empty], lambda z, m: z * m, (0, 2))

    # constraints

    def evaluate(self, form, vectors):
        """The value of an affine form on the committed values."""
        value = form.constant + total(by * self.pads[pad] for pad, by in form.pads.items())
        if form.functional is None:
            return value
        features = {"shard": self.shard, "proof": self.proof}
        if self.model is not None:
            features["model"] = self.model.reshape(-1, self.size)
        for (matrix, vector), u in form.functional.features.items():
            weights = [
                (n, K(*pair)) for n, pair in enumerate(vectors[vector].tolist()) if any(pair)
            ]
            for coefficient, feature in zip(u.tolist(), features[matrix], strict=False):
                if any(coefficient):
                    value += K(*coefficient) * total(w * int(feature[n]) for n, w in weights)
        for matrix, u in form.functional.slots.items():
            assert matrix == "model"
            for coefficient, slot in zip(u.tolist(), self.model, strict=False):
                if any(coefficient):
                    value += K(*coefficient) * int(slot)
        return value


def uses(layer):
    """(input, weight, output) of every product of a dense layer or convolution."""
    if not hasattr(layer, "kernel"):
        inputs, outputs = layer.in_features, layer.out_features
        return [(i, i * outputs + o, o) for i in range(inputs) for o in range(outputs)]
    found = []
    positions, channels = math.prod(layer.positions), layer.out_channels
    for group, places in enumerate(windows(layer)):
        for channel in range(
            group * channels // layer.groups, (group + 1) * channels // layer.groups
        ):
            for position, taps in enumerate(places):
                for tap, i in enumerate(taps):
                    if i >= 0:
                        found.append(
                            (i, channel * layer.fan_in + tap, channel * positions + position)
                        )
    return found


class SlowChannel(Channel):
    """The prover's channel: pads from a `World`."""

    def __init__(self, world, root=bytes(32)):
        super().__init__(world.relation.schedule, Transcript(), root)
        self.world, self.messages, self.sent_differences = world, [], []

    def mask(self, values, count, /):
        assert len(values) == count
        masked = [v + self.world.pads[self.sent + i] for i, v in enumerate(values)]
        self.messages += masked
        return masked

    def differences(self, epsilon, /):
        plan, pads = self.world.relation.schedule, self.world.pads
        self.sent_differences = [
            epsilon * pads[x] - pads[plan.messages + 3 * j + 1]
            for j, (x, _) in enumerate(plan.products)
        ]
        return self.sent_differences


class Replay(Channel):
    """The verifier's channel, fed with what a `SlowChannel` sent."""

    def __init__(self, other):
        super().__init__(other.world.relation.schedule, Transcript(), other.root)
        self.other = other

    def mask(self, values, count, /):
        assert values is None
        return self.other.messages[self.sent : self.sent + count]

    def differences(self, _epsilon, /):
        return self.other.sent_differences


def broken(world, statement=None):
    """Reduce with the prover's values; return the parts whose constraints do not hold."""
    relation = world.relation
    channel = SlowChannel(world)
    statement = statement or world.statement()
    found = reduce(relation, statement, channel, world)
    assert channel.sent == relation.schedule.messages
    # The verifier, who has only what was sent, arrives at the same forms.
    again = reduce(relation, statement, Replay(channel))
    assert list(map(known, again.constraints)) == list(map(known, found.constraints))
    names = parts(relation, len(found.constraints))
    values = [world.evaluate(form, found.vectors) for form in found.constraints]
    return [name for name, value in zip(names, values, strict=True) if value]


def known(form):
    """All that an affine form says, as something to compare."""
    functional = form.functional
    arrays = {} if functional is None else {**functional.features, **functional.slots}
    return form.constant, dict(form.pads), {key: u.tolist() for key, u in arrays.items()}


def parts(relation, count):
    """A name for every constraint, in the order of section 5.7."""
    names = ["product"] * (2 * len(relation.schedule.products))
    metrics, shard = relation.metrics, relation.shard
    lookups = ["step"] * relation.depth + ["p"]
    if relation.model is None:
        names += ["F", "B", "labels"] + ["groups"] * (shard.groups > 0)
        names += ["padding"] * (count - len(names) - len(lookups) - 1)
        return [*names, *lookups, "V"]
    names += ["F", "P", "D", "Y"]
    names += ["W", "Gamma"] * (metrics.groups > 0) + ["Yt", "Pf"] * metrics.confusion
    names += ["one"] + ["class totals"] * (shard.classes * metrics.per_class)
    names += ["group totals"] * metrics.groups
    return [*names, *lookups, "T", "z", "m"]


def prove(world, statement=None):
    """Commit to a world and prove; return the roots of the owners' matrices, and the proof."""
    relation = world.relation
    profile = relation.profile
    slots = np.zeros((relation.proof.rows, profile.row_slots), np.uint64)
    flat = slots.reshape(-1)
    flat[: world.proof.size] = [int(v) % MODULUS for v in world.proof.reshape(-1)]
    pads = to_array(world.pads).reshape(-1)
    flat[relation.proof.pad_slot :][: len(pads)] = pads
    matrices = {"shard": commit(feature_rows(world.shard, profile), bytes(32))}
    if world.model is not None:
        model = from_signed(world.model).reshape(-1, profile.row_slots)
        matrices["model"] = commit(model, bytes(32))
    matrices["proof"] = commit_proof(slots)
    channel = SlowChannel(world, matrices["proof"].root)
    found = reduce(relation, statement or world.statement(), channel, world)
    opened = open_matrices(
        matrices,
        found.constraints,
        found.vectors,
        relation.proof.pad_slot,
        channel.transcript,
    )
    differences, messages = to_array(channel.sent_differences), to_array(channel.messages)
    proof = Proof(channel.root, differences, messages, *opened)
    roots = {name: matrix.root for name, matrix in matrices.items() if name != "proof"}
    return roots, encode(proof)
