"""States in C++, and the products that are added to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from attnc.codegen.cpp_names import ELEMENT
from attnc.codegen.cpp_products import Products
from attnc.ir import kernel as k
from attnc.ir.kernel import TileType

JOINED = {"sum": "add", "prod": "mul", "max": "max", "min": "min", "any": "or", "all": "and"}


@dataclass
class States(Products):
    """Prints the updates of states."""

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
        if update.op != "sum" or not isinstance(dot, k.Dot) or self.type_of(dot) != own:
            return None
        if self.is_across(dot) or self._takes_values(dot):
            return self._added_across(update, dot)
        if not self.is_matmul(dot):
            return None
        match update.keep:
            case ():
                keep = f"ones<{self._length(self.parallel or '')}, {ELEMENT[own.dtype]}>.values"
            case ((k.Use(name), state),) if state == update.state and self.named[name] == self._columns(own):
                keep = f"&v_{name}[0]"
            case _:
                return None
        return self.product(update.state, dot, f", {keep}")

    def _takes_values(self, dot: k.Dot) -> bool:
        """Whether few rows are multiplied with values that are read where they lie."""
        assert isinstance(dot.b, k.Use)
        return self.is_few(dot) and dot.over == self.parallel and dot.b.name in self.views

    def _added_across(self, update: k.Update, dot: k.Dot) -> list[str]:
        """A product over the lanes added to its state, after what the state keeps."""
        width, element = self._length(self.columns_of(dot)), ELEMENT[self.named[update.state].dtype]
        kept = self.assign(update.state, _updated(replace(update, lift=None))) if update.keep else []
        return [*kept, *self.product(update.state, dot, f", ones<{width}, {element}>.values")]

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
