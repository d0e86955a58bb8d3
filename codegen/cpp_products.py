"""Matrix products in C++, and the states that they are added to."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.codegen.cpp_names import ELEMENT
from attnc.codegen.cpp_nests import Nests
from attnc.ir import kernel as k
from attnc.ir.kernel import TileType

JOINED = {"sum": "add", "prod": "mul", "max": "max", "min": "min", "any": "or", "all": "and"}


@dataclass
class Products(Nests):
    """Prints products and updates."""

    def product(self, target: str, node: k.Dot, keep: str = "") -> list[str]:
        """A matrix product into an array; `keep` adds it to what is there, each column times a factor."""
        a, b = node.a, node.b
        assert isinstance(a, k.Use)
        assert isinstance(b, k.Use)
        if not self.is_matmul(node):
            return self._plain_dot(target, a, b, node.over)
        (row,) = (axis for axis in self.named[b.name].axes if axis != node.over)
        pointer, w_row, w_depth = self._strided(b.name, row, node.over)
        assert self.parallel is not None
        tile = self.axes[self.parallel].tile
        counts = f"{self._count(row)}, {self._count(node.over)}"
        operands = f"{pointer}, {w_row}, {w_depth}, &v_{a.name}[0][0]"
        return [f"matmul<{tile}>({counts}, &v_{target}[0][0], {operands}{keep});"]

    def _plain_dot(self, target: str, a: k.Use, b: k.Use, over: str) -> list[str]:
        return self.reduced(target, k.Reduce("sum", k.Map("mul", (a, b)), over))

    def _strided(self, name: str, row: str, over: str) -> tuple[str, str, str]:
        """A pointer to an operand without the parallel index, and its strides along two axes."""
        if name in self.views:
            load = self.views[name]
            tensor = self.tensor(load.tensor)
            origin, strides = [], {}
            for place, sub in enumerate(load.subs):
                if isinstance(sub, k.Coord) and sub.index in (row, over):
                    strides[sub.index] = f"{tensor}_s[{place}]"
                    origin.append(f"{self._offset(self._start(sub.index), load, place)} * {tensor}_s[{place}]")
                else:
                    origin.append(f"{self._offset(self.text(sub), load, place)} * {tensor}_s[{place}]")
            return f"{tensor} + {' + '.join(origin)}", strides[row], strides[over]
        layout = self._layout(self.named[name].axes)
        width = str(max(1, self._length(layout[1])))
        strides = {layout[0]: width, layout[1]: "1"}
        return f"&v_{name}[0][0]", strides[row], strides[over]

    def _start(self, index: str) -> str:
        return f"{index}_first" if self.steps.get(index) is not None else self.text(self.axes[index].lo)

    def _offset(self, position: str, load: k.Load | k.Store, place: int) -> str:
        param = next(param for param in self.kernel.params if param.name == load.tensor)
        base = self._text(param.base[place])
        if base[0] == "0":
            return position if position.isidentifier() else f"({position})"
        return f"({position} - {base[0] if base[1] > 11 else '(' + base[0] + ')'})"

    # ---- states ------------------------------------------------------------------------------

    def fold(self, updates: tuple[k.Update, ...]) -> list[str]:
        """All states from their old values: those that others read change last."""
        lines: list[str] = []
        for update in _read_last(updates):
            direct = self._accumulated(update)
            lines += direct if direct is not None else self.assign(update.state, _updated(update))
        return lines

    def _accumulated(self, update: k.Update) -> list[str] | None:
        """A matrix product added to its state where it lies, whose columns are first multiplied by what they keep."""
        dot, own = update.lift, self.named[update.state]
        if update.op != "sum" or not isinstance(dot, k.Dot) or not self.is_matmul(dot) or self.type_of(dot) != own:
            return None
        match update.keep:
            case ():
                keep = f"ones<{self._length(self.parallel or '')}, {ELEMENT[own.dtype]}>.values"
            case ((k.Use(name), state),) if state == update.state and self.named[name] == self._columns(own):
                keep = f"&v_{name}[0]"
            case _:
                return None
        return self.product(update.state, dot, f", {keep}")

    def _columns(self, kind: TileType) -> TileType:
        """One value for each column of a tile."""
        return TileType(tuple(axis for axis in kind.axes if axis == self.parallel), kind.dtype)


def _updated(update: k.Update) -> k.Value:
    """The new value of a state."""
    kept = [k.Map("mul", (factor, k.Use(state))) for factor, state in update.keep]
    value: k.Value = kept[0] if kept else k.Use(update.state)
    for term in kept[1:]:
        value = k.Map("add", (value, term))
    return value if update.lift is None else k.Map(JOINED[update.op], (value, update.lift))


def _read_last(updates: tuple[k.Update, ...]) -> list[k.Update]:
    """An order in which no update reads a state that changed before: longest corrections first."""
    return sorted(updates, key=lambda update: -len(update.keep))
