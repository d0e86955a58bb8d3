"""What the code of a refusal means, and what can be done about it: a line each."""

from __future__ import annotations

REFUSALS: dict[str, tuple[str, str]] = {
    "NSEP": (
        "a fold takes another one, complete, together with the stream, "
        "in a form that does not split into a factor of each: `sigmoid(S - mean)`",
        "a function that splits (`exp(a - b)` is `exp(a) * exp(-b)`), or a second pass",
    ),
    "CROSS": (
        "a row waits for something that folds over all rows: Sinkhorn, normalising over queries",
        "fewer such steps",
    ),
    "NOUT": (
        "the output itself has a value for each pair of positions, or sums weights over rows",
        "leave it out of the outputs; give out the row statistics, and make it where it is used",
    ),
    "ORDER": (
        "a median, a rank, a sort: no state of bounded size knows it",
        "a threshold in place of a rank",
    ),
    "STATE": (
        "the first k in order, k a constant: a list, which a stream does not keep",
        "select blocks in place of keys, so that less is ordered; a threshold",
    ),
    "SEQ": (
        "a recurrence over positions, step by step",
        "a linear one can be written as a sum with decays, `sum[n](.. where n <= m)`, which is a kernel",
    ),
    "BIDIR": (
        "two recurrences in opposite directions",
        "nothing: two passes are needed",
    ),
    "IMPLICIT": (
        "each step of a recurrence folds over a length again: bisection, Newton steps",
        "fewer steps; a closed form",
    ),
    "OPAQUE": (
        "a fold of no known kind, as an `argmax`",
        "a maximum in place of its position",
    ),
    "GAUGE": (
        "no refusal but a note: a maximum is part of the result and not only a reference, so it is kept exactly",
        "nothing",
    ),
}
