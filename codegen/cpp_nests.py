"""Loop nests in C++: values of tiles made lane by lane, several in one nest, and what is folded of them on the way."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from attnc.codegen.cpp_lanes import Lanes
from attnc.codegen.cpp_names import ELEMENT
from attnc.ir import kernel as k
from attnc.ir.kernel import TileType
from attnc.ir.walk import walk

AWAKE = 32  # rows of a tile from which on their vectors take so long
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
            f"const Owned<{element}{inner}> {name}_owned(new {element}{dims});",
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

    # ---- reductions --------------------------------------------------------------------------

    def reduced(self, target: str, node: k.Reduce) -> list[str]:
        """A reduction along one axis into an array that is there."""
        if self.varies(node.x):
            return self.together((k.Let(target, node),), frozenset((target,)))
        if (ends := self._end_of_line(target, node)) is not None:
            return ends
        kept = self._layout(self.named[target].axes)
        steps = [f"{self._element(target)} = {self.step(node, self._element(target), self.element(target))};"]
        return [
            *self.written(target, identity(node.op, self.named[target].dtype)),
            *self.over((*kept, node.over), steps),
        ]

    def _end_of_line(self, target: str, node: k.Reduce) -> list[str] | None:
        """The greatest or the least of whole numbers that lie side by side."""
        kind = self.named[target]
        if node.op not in ("max", "min") or kind.axes or kind.dtype not in ("int32", "int64"):
            return None
        if not isinstance(node.x, k.Use) or self.named[node.x.name] != TileType((node.over,), kind.dtype):
            return None
        most, start = str(node.op == "max").lower(), self.text(identity(node.op, kind.dtype))
        operands = f"v_{node.x.name}, {self._count(node.over)}, {ELEMENT[kind.dtype]}({start})"
        return [f"v_{target} = end_of<{most}>({operands});"]

    def step(self, node: k.Reduce, running: str, kind: str) -> str:
        """A running value joined by one more; a product joins a sum as in a matrix product, rounded once."""
        template = f"<wide<{kind}>>" if self.wide else f"<{kind}>"
        if node.op == "sum" and kind != "int64_t" and isinstance(node.x, k.Map) and node.x.op == "mul":
            return f"fma_{template}({', '.join(self._as(arg, kind) for arg in node.x.args)}, {running})"
        if node.op in ("max", "min"):
            return f"{node.op}_{template}({running}, {self._as(node.x, kind)})"
        sign, level = {"sum": ("+", 12), "prod": ("*", 13), "any": ("|", 13), "all": ("&", 13)}[node.op]
        return f"{running} {sign} {self._as(node.x, kind, level)}"

    # ---- several values in one nest ----------------------------------------------------------

    def together(
        self, made: tuple[k.Let, ...], stored: frozenset[str], paired: frozenset[str] = frozenset()
    ) -> list[str]:
        """Values of one shape and reductions of them, made lane by lane; the `stored` go into arrays that are there.

        The `paired` among them go two rows at a time, and so row after row for each vector. So does a greatest value
        beside tile registers: one of two need not wait for the other.
        """
        folds = [item for item in made if isinstance(item.value, k.Reduce)]
        whole = self._layout(self._shape(made[0]))
        kept = self._layout(self.named[folds[0].name].axes) if folds else whole[-1:] if paired else whole
        inside = self._layout(tuple(axis for axis in whole if axis not in kept))
        twice = frozenset(item.name for item in folds if self._in_two(item.value, inside))
        with self.lanes():
            body = [*self._awake(whole), *self._steps(made, stored, paired, twice)]
            starts = [
                f"wide<{self.element(item.name)}> x_{item.name} = {self.text(self._identity(item))};" for item in folds
            ]
            starts += [f"auto odd_{item.name} = x_{item.name};" for item in folds if item.name in twice]
            starts += [f"wide<float> first_{name} = 0.0f;" for name in sorted(paired)]
            ends = [line for item in folds for line in self._ends_of(item, item.name in twice)]
            ends += [f"p_{name}.end({self._count(whole[0])}, {whole[-1]}_, first_{name});" for name in sorted(paired)]
            rows = self._by_pairs(whole[0], body) if paired or twice else self.over(inside, body)
            return self.over(kept, [*starts, *rows, *ends] if inside else body)

    def _in_two(self, value: k.Value, inside: tuple[str, ...]) -> bool:
        """Whether the greatest of even and odd rows are found apart."""
        assert isinstance(value, k.Reduce)
        return (
            bool(self.packed) and value.op in ("max", "min") and inside[:1] not in ((), (self.parallel,), (self.part,))
        )

    def _by_pairs(self, axis: str, body: list[str]) -> list[str]:
        """A loop over rows that are taken two by two."""
        head = f"by_pairs({self._count(axis)}, [&](int {axis}_, auto half) __attribute__((always_inline)) {{"
        return [head, *indented(body), "});"]

    def _awake(self, axes: tuple[str, ...]) -> list[str]:
        """What keeps the tile registers' unit awake while the vectors of many rows are computed."""
        outer = [axis for axis in axes if axis != self.parallel and self._length(axis) >= AWAKE]
        return [f"awake({outer[-1]}_);"] if self.packed and outer else []

    def _shape(self, item: k.Let) -> tuple[str, ...]:
        value = item.value
        return self.type_of(value.x).axes if isinstance(value, k.Reduce) else self.named[item.name].axes

    def _steps(
        self, made: tuple[k.Let, ...], stored: frozenset[str], paired: frozenset[str], twice: frozenset[str]
    ) -> list[str]:
        names = [item.name for item in made]
        values = [item.value.x if isinstance(item.value, k.Reduce) else item.value for item in made]
        lines, puts = self.reads(values, names), list[str]()
        for item, value in zip(made, values, strict=True):
            kind = self.element(item.name)
            if isinstance(item.value, k.Reduce):
                running = f"x_{item.name}"
                running = f"one_of(half, {running}, odd_{item.name})" if item.name in twice else running
                lines.append(f"{running} = {self.step(item.value, running, kind)};")
                continue
            text = self._as(value, kind)
            if item.name in paired:
                text = f"narrow_{text}" if isinstance(value, k.Map) and value.op == "exp2" else text
                puts.append(self._paired(item.name))
            lines.append(
                f"const wide<{kind}> x_{item.name} = {text if self.varies(value) else f'wide<{kind}>({text})'};"
            )
            alone = item.name in stored and item.name not in paired
            puts += [f"put(&{self._element(item.name)}, x_{item.name});"] if alone else []
        return [*lines, *puts]

    def _paired(self, name: str) -> str:
        """One row of a tile that is rounded where it is made."""
        row, lanes = self._layout(self.named[name].axes)
        return f"p_{name}.put({row}_, {lanes}_, x_{name}, first_{name}, half);"

    def _identity(self, item: k.Let) -> k.Value:
        assert isinstance(item.value, k.Reduce)
        return identity(item.value.op, self.named[item.name].dtype)

    def _ends_of(self, item: k.Let, twice: bool) -> list[str]:
        """What becomes of a fold after its last row."""
        assert isinstance(item.value, k.Reduce)
        own = f"x_{item.name}"
        joined = f"{own} = {item.value.op}_<wide<{self.element(item.name)}>>({own}, odd_{item.name});"
        return [*([joined] if twice else []), self._end(item)]

    def _end(self, item: k.Let) -> str:
        assert isinstance(item.value, k.Reduce)
        if item.value.over == self.parallel:
            return f"{self._element(item.name)} = {item.value.op}_across(x_{item.name});"
        return f"put(&{self._element(item.name)}, x_{item.name});"


def identity(op: str, dtype: k.DType) -> k.Const:
    """What a reduction starts from."""
    least, most = (-(2**63), 2**63 - 1) if dtype in ("int64", "int32") else (-math.inf, math.inf)
    values = {"sum": 0, "prod": 1, "max": least, "min": most, "any": False, "all": True}
    return k.Const(values[op], dtype)


def indented(lines: Iterable[str]) -> list[str]:
    """Lines one level deeper."""
    return ["  " + line for line in lines]
