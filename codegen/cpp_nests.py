"""Loop nests in C++: values of tiles made lane by lane."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from attnc.codegen.cpp_lanes import Lanes
from attnc.ir import kernel as k
from attnc.ir.walk import walk

LARGE = 64 << 10  # an array of so many bytes may lie elsewhere than on the stack


@dataclass
class Nests(Lanes):
    """Prints assignments of one kernel; of the positions of `part` those that rows reach."""

    part: str = ""

    def declare(self, name: str) -> list[str]:
        """The array (or scalar) of a name: on the stack, but for a large one of a kernel with much of it."""
        kind, element = self.named[name], self.element(name)
        lengths = [max(1, self._length(axis)) for axis in self._layout(kind.axes)]
        dims = "".join(f"[{length}]" for length in lengths)
        if not self.roomy or 8 * math.prod(lengths) <= LARGE:
            return [f"{'alignas(64) ' if dims else ''}{element} v_{name}{dims};"]
        inner = "".join(f"[{length}]" for length in lengths[1:])
        return [
            f"const Owned<{element}{inner}> {name}_owned({lengths[0]});",
            f"{element} (*const v_{name}){inner} = {name}_owned.place;",
        ]

    def over(self, order: Iterable[str], body: list[str]) -> list[str]:
        """Loops over axes, the first outermost; along the parallel one in steps of the lanes."""
        lines = body if len(body) == 1 else ["{", *indented(body), "}"]
        if self.wide and self.part:
            order = sorted(order, key=lambda axis: axis == self.part)
        for axis in reversed(tuple(order)):
            step = f"{axis}_ += LANES" if self.wide and axis == self.parallel else f"++{axis}_"
            lines = [f"for (int {self._range(axis)}; {step})", *indented(lines)]
        return lines

    def _range(self, axis: str) -> str:
        """Where a loop over an axis begins and ends."""
        if not self.wide or axis != self.part:
            return f"{axis}_ = 0; {axis}_ < {self._count(axis)}"
        from_, to = (f"{axis}_reach.{word}({self.parallel}_, LANES)" for word in ("from", "to"))
        return f"{axis}_ = {from_}, {axis}_end = {to}; {axis}_ < {axis}_end"

    # ---- one value in a nest -----------------------------------------------------------------

    def written(self, name: str, value: k.Value) -> list[str]:
        """The nest that computes an array from a value without products and reductions."""
        axes = self._layout(self.named[name].axes)
        if self.parallel not in axes:
            return self.over(axes, [f"{self._element(name)} = {self.text(value)};"])
        with self.lanes():
            return self.over(axes, [*self.reads((value,)), self.put(name, value)])

    def reads(self, values: Iterable[k.Value], known: Collection[str] = ()) -> list[str]:
        """The lanes of every array that values read, each read once."""
        nodes = [node for value in values for node in walk(value)]
        uses = (node.name for node in nodes if isinstance(node, k.Use) and self.varies(node))
        lines = []
        for name in dict.fromkeys(uses):
            kind = f"wide<{self.element(name)}>"
            lines += [f"const {kind} x_{name} = at<{kind}>(&{self._element(name)});"] if name not in known else []
        return lines

    def put(self, name: str, value: k.Value) -> str:
        """Lanes written to an array."""
        return f"put(&{self._element(name)}, {self.all_lanes(value, self.element(name))});"

    def step(self, node: k.Reduce, running: str, kind: str) -> str:
        """A running value joined by one more; a product joins a sum as in a matrix product, rounded once."""
        template = f"<wide<{kind}>>" if self.wide else f"<{kind}>"
        if node.op == "sum" and kind != "int64_t" and isinstance(node.x, k.Map) and node.x.op == "mul":
            return f"fma_{template}({', '.join(self._as(arg, kind) for arg in node.x.args)}, {running})"
        if node.op in ("max", "min"):
            return f"{node.op}_{template}({running}, {self._as(node.x, kind)})"
        sign, level = {"sum": ("+", 12), "prod": ("*", 13), "any": ("|", 13), "all": ("&", 13)}[node.op]
        return f"{running} {sign} {self._as(node.x, kind, level)}"


def identity(op: str, dtype: k.DType) -> k.Const:
    """What a reduction starts from."""
    least, most = (-(2**63), 2**63 - 1) if dtype in ("int64", "int32") else (-math.inf, math.inf)
    values = {"sum": 0, "prod": 1, "max": least, "min": most, "any": False, "all": True}
    return k.Const(values[op], dtype)


def indented(lines: Iterable[str]) -> list[str]:
    """Lines one level deeper."""
    return ["  " + line for line in lines]
