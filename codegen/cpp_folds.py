"""Reductions in C++, and values that are made in one nest with what is folded of them."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.codegen.cpp_names import ELEMENT
from attnc.codegen.cpp_nests import Nests, identity, indented
from attnc.ir import kernel as k
from attnc.ir.kernel import TileType


@dataclass
class Folds(Nests):
    """Prints reductions."""

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

    # ---- several values in one nest ----------------------------------------------------------

    def together(
        self, made: tuple[k.Let, ...], stored: frozenset[str], paired: frozenset[str] = frozenset()
    ) -> list[str]:
        """Values of one shape and reductions of them, made lane by lane; the `stored` go into arrays that are there.

        The `paired` among them go two rows at a time, and so row after row for each vector; so do folds beside tile
        registers, and greatest values are two there, of which one need not wait for the other.
        """
        folds = [item for item in made if isinstance(item.value, k.Reduce)]
        whole = self._layout(self._shape(made[0]))
        kept = self._layout(self.named[folds[0].name].axes) if folds else whole[-1:] if paired else whole
        inside = self._layout(tuple(axis for axis in whole if axis not in kept))
        pairs = paired or (folds and self.packed and inside not in ((self.parallel,), (self.part,)))
        twice = frozenset(item.name for item in folds if pairs and _is_end(item.value))
        with self.lanes():
            body = self._steps(made, stored, paired, twice)
            starts = [
                f"wide<{self.element(item.name)}> x_{item.name} = {self.text(self._identity(item))};" for item in folds
            ]
            starts += [f"auto odd_{item.name} = x_{item.name};" for item in folds if item.name in twice]
            starts += [f"wide<float> first_{name} = 0.0f;" for name in sorted(paired)]
            ends = [line for item in folds for line in self._ends_of(item, item.name in twice)]
            ends += [f"p_{name}.end({self._count(inside[0])}, {whole[-1]}_, first_{name});" for name in sorted(paired)]
            rows = self._by_pairs(inside[0], body) if pairs else self.over(inside, body)
            return self.over(kept, [*starts, *rows, *ends] if inside else body)

    def _by_pairs(self, axis: str, body: list[str]) -> list[str]:
        """A loop over rows that are taken two by two."""
        head = f"by_pairs({self._count(axis)}, [&](int {axis}_, auto half) __attribute__((always_inline)) {{"
        return [head, *indented(body), "});"]

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
                narrow = isinstance(value, k.Map) and value.op in ("exp", "exp2") and item.name not in self.whole.names
                text = f"narrow_{text}" if narrow else text
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


def _is_end(value: k.Value) -> bool:
    return isinstance(value, k.Reduce) and value.op in ("max", "min")
