"""What the mnist suite found, as a table in Markdown and as a plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from circuits.encoding import write_atomic
from circuits.errors import InputError

BEGIN: Final = "<!-- results: begin (written by zkpot bench --suite mnist --readme) -->"
END: Final = "<!-- results: end -->"
_MEGABYTE: Final = 1e6


def table(found: dict[str, Any]) -> str:
    """Return the figures of `benchmarks.mnist.run_suite` as Markdown."""
    lines = [
        "| network | samples | shards | right: proven, integer, float | flips | commit (once) | "
        "prove | memory | verify | proof | security |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['network']} | {row['samples']:,} | {row['shards']} | {row['correct']:,}, "
        f"{row['integer_correct']:,}, {row['float_correct']:,} | {row['flips']} | "
        f"{row['commit_seconds']:.1f} s | {row['prove_seconds']:.1f} s | "
        f"{row['prove_bytes'] / 1e9:.1f} GB | {row['verify_seconds']:.1f} s "
        f"({row['verify_shards_seconds']:.2f} s) | {row['proof_bytes'] / _MEGABYTE:.1f} MB | "
        f"{row['security_bits']:.1f} bits |"
        for row in found["rows"]
    ]
    for name, slope in found["slopes"].items():
        text = f"{name}: {slope['prove_seconds_per_sample'] * 1000:.2f} ms a sample at the largest"
        if "marginal_seconds" in slope:
            text += (
                f"; slope {slope['marginal_seconds'] * 1000:.2f} ms and "
                f"{slope['marginal_bytes']:,.0f} bytes a sample"
            )
        text += f"; compiling machine code, once, {slope['compile_seconds']:.0f} s"
        if "ratio" in slope:
            text += f"; {slope['ratio']:,.0f} times as fast a sample as ezkl's sound circuit"
        lines += ["", text + "."]
    for row in found["halo2"]:
        what = f"{row['network']} in ezkl's sound circuit"
        if row["refused"]:
            lines += ["", f"{what}: refused ({row['refused']})."]
        else:
            lines += [
                "",
                f"{what}, {row['samples']} samples: keys {row['setup_seconds']:.0f} s, "
                f"{row['prove_seconds'] / row['samples']:.1f} s a sample, "
                f"{row['prove_bytes'] / 1e9:.1f} GB, verify {row['verify_seconds']:.1f} s, "
                f"{row['proof_bytes'] / 1e3:.1f} kB.",
            ]
    return "\n".join(lines) + "\n"


def write_readme(path: Path, found: dict[str, Any]) -> None:
    """Replace the results between the two marks of a Markdown file.

    Raises
    ------
    InputError
        If the marks are not there.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"{path} has no place for results: {BEGIN} .. {END}")
    write_atomic(path, f"{before}{begin}\n\n{table(found)}\n{end}{after}".encode())


def plot(path: Path, found: dict[str, Any]) -> None:
    """Draw seconds and bytes against the number of samples; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    seconds, size = figure.subplots(1, 2)
    for name in dict.fromkeys(row["network"] for row in found["rows"]):
        rows = [row for row in found["rows"] if row["network"] == name]
        samples = [row["samples"] for row in rows]
        (line,) = seconds.plot(
            samples, [row["prove_seconds"] for row in rows], "o-", label=f"{name}: prove"
        )
        seconds.plot(
            samples, [row["verify_seconds"] for row in rows], "o--", color=line.get_color(),
            label=f"{name}: verify",
        )  # fmt: skip
        size.plot(samples, [row["proof_bytes"] / _MEGABYTE for row in rows], "o-", label=name)
    for row in found["halo2"]:
        if not row["refused"]:
            seconds.plot(
                [row["samples"]], [row["prove_seconds"]], "kx", label=f"{row['network']}: ezkl"
            )
    for axes, label in ((seconds, "seconds"), (size, "megabytes of proof")):
        axes.set(xscale="log", yscale="log", xlabel="samples", ylabel=label)
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
