"""Statements in C++: loop nests over elements, micro-kernel calls for matrix products, reads and writes of memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from attnc.codegen.cpp_values import ELEMENT, Printer
from attnc.ir import kernel as k
from attnc.ir.kernel import TileType
from attnc.ir.walk import bottom_up, walk

LARGE = 64 << 10  # an array of so many bytes may lie elsewhere than on the stack


@dataclass
class Nests(Printer):
    """Prints the statements of one kernel."""

    def declare(self, name: str) -> list[str]:
        """The array (or scalar) of a name: on the stack, but for a large one of a kernel with much of it."""
        kind = self.named[name]
        element, lengths = ELEMENT[kind.dtype], [max(1, self._length(axis)) for axis in self._layout(kind.axes)]
        dims = "".join(f"[{length}]" for length in lengths)
        if not self.roomy or 8 * math.prod(lengths) <= LARGE:
            return [f"{'alignas(64) ' if dims else ''}{element} v_{name}{dims};"]
        inner = "".join(f"[{length}]" for length in lengths[1:])
        return [
            f"const Owned<{element}{inner}> {name}_owned(new {element}{dims});",
            f"{element} (*const v_{name}){inner} = {name}_owned.place;",
        ]

    def nest(self, axes: tuple[str, ...], body: list[str]) -> list[str]:
        """Loops over the axes, the parallel one innermost and vectorised."""
        layout = self._layout(axes)
        lines = list(body) if len(body) == 1 else ["{", *("  " + line for line in body), "}"]
        for axis in reversed(layout):
            head = f"for (int {axis}_ = 0; {axis}_ < {self._count(axis)}; ++{axis}_)"
            pragma = ["#pragma omp simd"] if axis == self.parallel else []
            lines = [*pragma, head, *("  " + line for line in lines)]
        return lines

    def fill(self, name: str, text: str) -> list[str]:
        """Every element set to a constant."""
        return self.nest(self.named[name].axes, [f"{self._element(name)} = {text};"])

    def bind(self, name: str, value: k.Value) -> list[str]:
        """A new name with a value."""
        before, value = self._prepared(value, name)
        if value == k.Use(name):
            return before
        axes = self.named[name].axes
        if not axes:
            return [
                *before,
                f"const {ELEMENT[self.named[name].dtype]} v_{name} = {self.text(value)};",
                f"(void)v_{name};",
            ]
        return [*before, *self.declare(name), *self.nest(axes, [f"{self._element(name)} = {self.text(value)};"])]

    def folds_after(self, body: tuple[k.Statement, ...], place: int) -> tuple[k.Let, ...]:
        """The reductions right after a new tile that fold it as it is made, row by row."""
        made, found = body[place], list[k.Let]()
        if not isinstance(made, k.Let) or not self._is_tile(made):
            return ()
        for other in body[place + 1 :]:
            if not (
                isinstance(other, k.Let) and isinstance(other.value, k.Reduce) and self._folds(other.value, made.name)
            ):
                break
            found.append(other)
        return tuple(found)

    def _is_tile(self, made: k.Let) -> bool:
        axes = self.named[made.name].axes
        whole = not any(isinstance(node, k.Dot | k.Reduce) for node in walk(made.value))
        return whole and len(axes) == 2 and self.parallel in axes

    def _folds(self, node: k.Reduce, name: str) -> bool:
        axes = self.named[name].axes
        nested = any(isinstance(item, k.Dot | k.Reduce) for item in walk(node.x))
        uses = any(isinstance(item, k.Use) and item.name == name for item in walk(node.x))
        return uses and not nested and node.over != self.parallel and set(self._type(node.x).axes) == set(axes)

    def bind_and_fold(self, made: k.Statement, folds: tuple[k.Let, ...]) -> list[str]:
        """A new tile and reductions of it in one nest."""
        assert isinstance(made, k.Let)
        lines, steps = self.declare(made.name), [f"{self._element(made.name)} = {self.text(made.value)};"]
        for item in folds:
            node = item.value
            assert isinstance(node, k.Reduce)
            kind = ELEMENT[self.named[item.name].dtype]
            lines += [*self.declare(item.name), *self.fill(item.name, self._identity(node.op, kind))]
            steps.append(self._step(node, self._element(item.name), kind))
        return [*lines, *self.nest(self.named[made.name].axes, steps)]

    def assign(self, name: str, value: k.Value) -> list[str]:
        """A state takes a new value."""
        before, value = self._prepared(value, None)
        return [*before, *self.nest(self.named[name].axes, [f"{self._element(name)} = {self.text(value)};"])]

    def _prepared(self, value: k.Value, name: str | None) -> tuple[list[str], k.Value]:
        """The lines that compute the products and reductions inside a value, and the value that reads them."""
        lines: list[str] = []

        def rule(node: object) -> k.Value | None:
            if not isinstance(node, k.Dot | k.Reduce):
                return None
            target = name if name is not None and node == value else self._temporary(node)
            lines.extend(self.declare(target))
            lines.extend(self._dot(target, node) if isinstance(node, k.Dot) else self._reduce(target, node))
            return k.Use(target)

        return lines, bottom_up(value, rule)

    def _temporary(self, node: k.Value) -> str:
        self.temporaries += 1
        while (name := f"x{self.temporaries}") in self.named:
            self.temporaries += 1
        self.named[name] = self._type(node)
        return name

    def _reduce(self, target: str, node: k.Reduce) -> list[str]:
        element, kind = self._element(target), ELEMENT[self.named[target].dtype]
        identity = self._identity(node.op, kind)
        kept = self.named[target].axes
        others = [axis for axis in self._type(node.x).axes if axis not in kept]
        order = (*others, *self._layout(kept)) if self.parallel in kept else (*self._layout(kept), *others)
        return [*self.fill(target, identity), *self._ordered(order, [self._step(node, element, kind)])]

    def _identity(self, op: str, kind: str) -> str:
        if kind == "int64_t" and op in ("max", "min"):
            return {"max": "INT64_MIN", "min": "INT64_MAX"}[op]
        return {"sum": "0", "prod": "1", "max": "-INF", "min": "INF", "any": "false", "all": "true"}[op]

    def _step(self, node: k.Reduce, element: str, kind: str) -> str:
        """One element joins a running one; a product joins a sum as in a matrix product, rounded once."""
        if node.op == "sum" and kind != "int64_t" and isinstance(node.x, k.Map) and node.x.op == "mul":
            a, b = map(self.text, node.x.args)
            return f"{element} = fma_<{kind}>({a}, {b}, {element});"
        text = self._wrapped(node.x, 13)
        return {
            "sum": f"{element} += {text};",
            "prod": f"{element} *= {text};",
            "max": f"{element} = max_<{kind}>({element}, {text});",
            "min": f"{element} = min_<{kind}>({element}, {text});",
            "any": f"{element} |= {text};",
            "all": f"{element} &= {text};",
        }[node.op]

    def _ordered(self, order: tuple[str, ...], body: list[str]) -> list[str]:
        lines = body
        for axis in reversed(order):
            pragma = ["#pragma omp simd"] if axis == self.parallel else []
            lines = [
                *pragma,
                f"for (int {axis}_ = 0; {axis}_ < {self._count(axis)}; ++{axis}_)",
                *("  " + x for x in lines),
            ]
        return lines

    def _dot(self, target: str, node: k.Dot, keep: str = "") -> list[str]:
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
        element = self._element(target)
        kept = self._layout(self.named[target].axes)
        step = [f"{element} = fma_({self._element(a.name)}, {self._element(b.name)}, {element});"]
        return [*self.fill(target, "0"), *self._ordered((*kept[:1], over, *kept[1:]), step)]

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

    def load(self, load: k.Load) -> list[str]:
        """A read: in place where only products want it, else into an array of the type of arithmetic."""
        if load.name in self.viewable:
            self.views[load.name] = load
            return []
        kind = self.named[load.name]
        tensor = self.tensor(load.tensor)
        spots = [self._offset(self.text(sub), load, place) for place, sub in enumerate(load.subs)]
        address = " + ".join(f"{spot} * {tensor}_s[{place}]" for place, spot in enumerate(spots)) or "0"
        tests = [
            self.text(test) if self._text(test)[1] > 7 else f"({self.text(test)})"
            for test in load.when
            if not isinstance(test, k.Inside)
        ]
        if self.parallel in kind.axes:
            tests.append(f"{self.parallel}_ < {self.parallel}_count")
        for place, sub in enumerate(load.subs):
            if not isinstance(sub, k.Coord | k.Const):
                tests.append(f"(uint64_t){spots[place]} < (uint64_t){tensor}_n[{place}]")
        real = kind.dtype in ("float32", "float64", "float16", "bfloat16")
        value = f"real({tensor}[{address}])" if real else f"{tensor}[{address}]"
        guarded = f"{' && '.join(tests)} ? {value} : 0" if tests else value
        if not kind.axes:
            return [f"const {ELEMENT[kind.dtype]} v_{load.name} = {guarded};", f"(void)v_{load.name};"]
        return [*self.declare(load.name), *self.nest(kind.axes, [f"{self._element(load.name)} = {guarded};"])]

    def fold(self, updates: tuple[k.Update, ...]) -> list[str]:
        """All states from their old values: those that others read change last."""
        lines: list[str] = []
        for update in _read_last(updates):
            if (direct := self._accumulated(update)) is not None:
                lines += direct
                continue
            element, axes = self._element(update.state), self.named[update.state].axes
            before, lift = self._prepared(update.lift, None) if update.lift is not None else ([], None)
            kept = [f"{self._wrapped(coef, 12)} * {self._element(state)}" for coef, state in update.keep]
            text = self._combined(update, element, " + ".join(kept) or element, lift)
            lines += [*before, *self.nest(axes, [f"{element} = {text};"])]
        return lines

    def _accumulated(self, update: k.Update) -> list[str] | None:
        """A matrix product added to its state where it lies, whose columns are first multiplied by what they keep."""
        dot, own = update.lift, self.named[update.state]
        if update.op != "sum" or not isinstance(dot, k.Dot) or not self.is_matmul(dot) or self._type(dot) != own:
            return None
        match update.keep:
            case ():
                keep = f"ones<{self._length(self.parallel or '')}, {ELEMENT[own.dtype]}>.values"
            case ((k.Use(name), state),) if state == update.state and self.named[name] == self._columns(own):
                keep = f"&v_{name}[0]"
            case _:
                return None
        return self._dot(update.state, dot, f", {keep}")

    def _columns(self, kind: TileType) -> TileType:
        """One value for each column of a tile."""
        return TileType(tuple(axis for axis in kind.axes if axis == self.parallel), kind.dtype)

    def _combined(self, update: k.Update, element: str, kept: str, lift: k.Value | None) -> str:
        if lift is None:
            return kept
        text = self._wrapped(lift, 12)
        kind = ELEMENT[self.named[update.state].dtype]
        match update.op:
            case "sum":
                return f"{kept} + {text}"
            case "prod":
                return f"{kept} * {text}"
            case "max" | "min":
                return f"{update.op}_<{kind}>({kept}, {text})"
            case "any":
                return f"{kept} | {text}"
            case _:
                return f"{kept} & {text}"

    def store(self, store: k.Store) -> list[str]:
        """A value written to an output, lanes outside the axis left out."""
        before, value = self._prepared(store.value, None)
        param = next(param for param in self.kernel.params if param.name == store.tensor)
        tensor = self.tensor(store.tensor)
        axes = tuple(dict.fromkeys(axis for sub in store.subs for axis in self._type(sub).axes))
        spots = [self._offset(self.text(sub), store, place) for place, sub in enumerate(store.subs)]
        address = " + ".join(f"{spot} * {tensor}_s[{place}]" for place, spot in enumerate(spots)) or "0"
        kinds = {"float32": "float", "float64": "double", "int64": "int64_t", "int32": "int32_t"}
        kind = kinds.get(param.dtype, param.dtype)
        text = self.text(value)
        real = param.dtype in ("float32", "float64", "float16", "bfloat16")
        plain = _uncast(value) if param.dtype in ("float16", "bfloat16") else value
        text = f"stored<{kind}>({self.text(plain)})" if real else f"({kind})({text})"
        guard = f"if ({self.parallel}_ < {self.parallel}_count) " if self.parallel in axes else ""
        lines = self.nest(axes, [f"{guard}{tensor}[{address}] = {text};"])
        return [*before, *(line for line in lines if "#pragma omp simd" not in line)]


def _uncast(value: k.Value) -> k.Value:
    if isinstance(value, k.Map) and value.op.startswith("cast:"):
        return value.args[0]
    return value


def _read_last(updates: tuple[k.Update, ...]) -> list[k.Update]:
    """An order in which no update reads a state that changed before: longest corrections first."""
    return sorted(updates, key=lambda update: -len(update.keep))
