"""Matrix products in C++."""

from __future__ import annotations

from dataclasses import dataclass, field

from attnc.codegen.cpp_folds import Folds
from attnc.codegen.cpp_names import ELEMENT, STORED
from attnc.ir import kernel as k
from attnc.ir.walk import bottom_up


@dataclass
class Products(Folds):
    """Prints products.

    `kept` is what a thread keeps from job to job, `shared` the functions that other kernels have as well, `read_paired`
    the loads that have been read as products of bfloat16 want them.
    """

    kept: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    read_paired: set[str] = field(default_factory=set)

    def shares(self, function: str, *arguments: object) -> None:
        """Names an instance of a function that need not be compiled for each kernel."""
        line = f"ATTNC_USES({function}, {', '.join(map(str, arguments))})"
        if line not in self.shared:
            self.shared.append(line)

    def lies(self, name: str) -> str:
        """The C++ type of an operand's elements where it lies."""
        return self.stored(self.views[name].tensor) if name in self.views else self.element(name)

    def stored(self, tensor: str) -> str:
        """The C++ type of a tensor's elements."""
        return next(STORED[param.dtype] for param in self.kernel.params if param.name == tensor)

    def bind(self, name: str, value: k.Value) -> list[str]:
        """A new name with a value."""
        before, value = self.prepared(value, name)
        if value == k.Use(name):
            return before
        if not self.named[name].axes:
            return [*before, f"const {self.element(name)} v_{name} = {self.text(value)};", f"(void)v_{name};"]
        return [*before, *self.declare(name), *self.written(name, value)]

    def assign(self, name: str, value: k.Value) -> list[str]:
        """An array takes new values."""
        before, value = self.prepared(value, None)
        return [*before, *self.written(name, value)]

    def prepared(self, value: k.Value, name: str | None) -> tuple[list[str], k.Value]:
        """The lines that compute the products and reductions inside a value, and the value that reads them."""
        lines: list[str] = []

        def rule(node: object) -> k.Value | None:
            if not isinstance(node, k.Dot | k.Reduce):
                return None
            target = name if name is not None and node == value else self._temporary(node)
            lines.extend(self.declare(target))
            lines.extend(self.product(target, node) if isinstance(node, k.Dot) else self.reduced(target, node))
            return k.Use(target)

        return lines, bottom_up(value, rule)

    def _temporary(self, node: k.Value) -> str:
        self.temporaries += 1
        while (name := f"x{self.temporaries}") in self.named:
            self.temporaries += 1
        self.named[name] = self.type_of(node)
        return name

    # ---- products ----------------------------------------------------------------------------

    def product(self, target: str, node: k.Dot, keep: str = "") -> list[str]:
        """A matrix product into an array; `keep` adds it to what is there, each column times a factor."""
        if self.is_few(node) and (found := self._few(target, node, keep)):
            return found
        if self.is_across(node):
            stride = self._length(self._layout(self.named[target].axes)[1])
            return self._across(f"&v_{target}[0][0]", str(stride), node, keep.removeprefix(", "))
        if not self.is_matmul(node):
            return self.reduced(target, k.Reduce("sum", k.Map("mul", (node.a, node.b)), node.over))
        a, b = self.operands(node)
        (row,) = (axis for axis in self.named[b.name].axes if axis != node.over)
        pointer, w_row, w_depth = self._strided(b.name, row, node.over)
        assert self.parallel is not None
        tile = self.axes[self.parallel].tile
        counts = f"{self._count(row)}, {self._count(node.over)}"
        wide = f"p_{a.name}" if self.is_packed(node) else f"&v_{a.name}[0][0]"
        operands = f"&v_{target}[0][0], {pointer}, {w_row}, {w_depth}, {wide}{keep}"
        if self.part and self.part in (row, node.over) and self.takes_part(node):
            kind, length = ("reached", node.over) if row == self.part else ("over_reached", row)
            self.shares(f"matmul_{kind}", tile, self.element(target), self.lies(b.name))
            return [f"matmul_{kind}<{tile}>({self.part}_reach, {self._count(length)}, {operands});"]
        self._shares_product(node, tile, b.name)
        if (spot := self._spot(b.name, (row, node.over))) and self.is_packed(node):
            operands = f"{operands}{'' if keep else ', nullptr'}, {tile}, {spot}"
        return [f"matmul<{tile}>({counts}, {operands});"]

    def _shares_product(self, node: k.Dot, columns: int | None, factor: str) -> None:
        if self.is_packed(node):
            self.shares("narrow_product", columns, self.lies(factor))
        else:
            self.shares("product", columns, ELEMENT[self.type_of(node).dtype], self.lies(factor))

    def _spot(self, name: str, axes: tuple[str, str]) -> str:
        """Where a thread keeps tiles of a tensor that have to be turned, for all jobs that read them."""
        streamed = [axis for axis in axes if self.steps.get(axis)]
        if name not in self.views or len(streamed) != 1 or self.named[name].dtype != "bfloat16":
            return ""
        again = " || ".join(f"{axis.index}_stop - {axis.index}_begin > {axis.tile}" for axis in self.kernel.tiled)
        line = f"Turned c_{name}({again or 'false'});"
        if line not in self.kept:
            self.kept.append(line)
        return f"{{&c_{name}, {streamed[0]}_first / {self.steps[streamed[0]]}}}"

    def _few(self, target: str, node: k.Dot, keep: str) -> list[str]:
        """A product of few rows with keys or values that are read where they lie; none where they are an array."""
        wide = node.over == self.parallel
        streamed, rows = (node.b, node.a) if wide else self.operands(node)
        assert isinstance(streamed, k.Use)
        assert isinstance(rows, k.Use)
        if streamed.name not in self.views:
            return []
        lanes, count = self.parallel or "", self._length(self.rows or "")
        (other,) = (axis for axis in self.named[streamed.name].axes if axis != lanes)
        pointer, row, step = self.placed(self.views[streamed.name], lanes, other)
        operands = f"{pointer}, {row}, {step}, &v_{rows.name}[0][0], {self._length(node.over)}"
        place, length = f"&v_{target}[0][0]", self._count(other)
        element, stored = self.element(rows.name), self.lies(streamed.name)
        if not wide:
            self.shares("few_scores", count, self._length(lanes), element, stored)
            return [f"few_scores<{count}, {self._length(lanes)}>({lanes}_count, {length}, {place}, {operands});"]
        zeros = [] if keep else self.written(target, k.Const(0.0, self.named[target].dtype))
        stride = self._length(other)
        self.shares("few_values", count, element, stored)
        return [*zeros, f"few_values<{count}>({lanes}_count, {length}, {place}, {stride}, {operands});"]

    def turn(self, name: str) -> list[str]:
        """A tile with its rows first, if a product sums over them; both as products of bfloat16 want them."""
        asked = name in self.turned or (name, False) in self.packed
        if name in self.views or name in self.read_paired or not asked:
            return []
        row, other = self.parallel or "", self._layout(self.named[name].axes)[0]
        rows, others, lines = self._length(row), self._length(other), list[str]()
        if (name, False) in self.packed:
            lines.append(f"const Packed<{rows}, {others}> p_{name}(&v_{name}[0][0], {self._count(other)});")
        if name not in self.turned:
            return lines
        self.shares("write_rows", rows, self.element(name), self.element(name))
        lines += [
            f"alignas(64) {self.element(name)} r_{name}[{rows}][{others}];",
            f"write_rows<{rows}>(&r_{name}[0][0], {others}, 1, {rows}, {self._count(other)}, v_{name});",
        ]
        if (name, True) in self.packed:
            lines.append(f"const Packed<{others}, {rows}> q_{name}(&r_{name}[0][0], {rows});")
        return lines

    def opened(self, name: str) -> str:
        """A tile whose rows are rounded where they are made."""
        other, row = self._layout(self.named[name].axes)
        return f"Packed<{self._length(row)}, {self._length(other)}> p_{name}(&v_{name}[0][0]);"

    def _across(self, place: str, stride: str, node: k.Dot, keep: str) -> list[str]:
        """The product of two tiles over their rows, as rows of memory; `keep` adds it to what is there."""
        a, b = node.a, node.b
        assert isinstance(a, k.Use)
        assert isinstance(b, k.Use)
        (row,) = (axis for axis in self.named[a.name].axes if axis != node.over)
        (column,) = (axis for axis in self.named[b.name].axes if axis != node.over)
        depth, width = self._length(node.over), self._length(column)
        own = keep or f"(const {self.element(a.name)}*)nullptr"
        wide = f"q_{b.name}" if self.is_packed(node) else f"&r_{b.name}[0][0]"
        operands = f"&v_{a.name}[0][0], {depth}, 1, {wide}, {own}, {stride}"
        self._shares_product(node, width, a.name)
        return [f"matmul<{width}>({self._count(row)}, {depth}, {place}, {operands});"]

    def add(self, statement: k.Add) -> list[str]:
        """A value added to an output; a product over the tile's rows where it lies."""
        value, kind = statement.value, self.type_of(statement.value)
        tensor = self.tensor(statement.tensor)
        if isinstance(value, k.Dot) and self.is_across(value) and len(kind.axes) == 2:
            row, column = self._layout(kind.axes)
            pointer, stride, _ = self.placed(statement, row, column)
            return self._across(pointer, stride, value, f"ones<{self._length(column)}, {ELEMENT[kind.dtype]}>.values")
        before, value = self.prepared(value, None)
        at = [self._offset(self.text(sub), statement, place) for place, sub in enumerate(statement.subs)]
        places = " + ".join(f"{position} * {tensor}_s[{place}]" for place, position in enumerate(at))
        return [*before, *self.over(self._layout(kind.axes), [f"{tensor}[{places}] += {self.text(value)};"])]

    def _strided(self, name: str, row: str, over: str) -> tuple[str, str, str]:
        """A pointer to an operand without the parallel index, and its strides along two axes."""
        if name in self.views:
            return self.placed(self.views[name], row, over)
        layout = self._layout(self.named[name].axes)
        width = str(max(1, self._length(layout[1])))
        strides = {layout[0]: width, layout[1]: "1"}
        return f"&v_{name}[0][0]", strides[row], strides[over]

    def placed(self, access: k.Load | k.Store | k.Add, one: str, other: str) -> tuple[str, str, str]:
        """Where the first element of a tile lies, and its strides along two axes."""
        tensor, origin, strides = self.tensor(access.tensor), list[str](), dict[str, str]()
        for place, sub in enumerate(access.subs):
            stride, at = f"{tensor}_s[{place}]", self.text(sub)
            if isinstance(sub, k.Coord) and sub.index in (one, other):
                strides[sub.index], at = stride, self._start(sub.index)
            origin.append(f"{self._offset(at, access, place)} * {stride}")
        return f"{tensor} + {' + '.join(origin)}", strides[one], strides[other]

    def _start(self, index: str) -> str:
        within = index == self.parallel or self.steps.get(index) is not None
        return f"{index}_first" if within else self.text(self.axes[index].lo)

    def _offset(self, position: str, load: k.Load | k.Store | k.Add, place: int) -> str:
        param = next(param for param in self.kernel.params if param.name == load.tensor)
        base = self._text(param.base[place])
        if base[0] == "0":
            return position if position.isidentifier() else f"({position})"
        return f"({position} - {base[0] if base[1] > 11 else '(' + base[0] + ')'})"
