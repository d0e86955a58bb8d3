"""Kernel values and assignments in C++: elements inside loop nests, micro-kernel calls for matrix products."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from attnc.ir import kernel as k
from attnc.ir.kernel import Kernel, TileType
from attnc.ir.tile_types import tile_type
from attnc.ir.walk import bottom_up, walk

INFIX = {"add": ("+", 11), "sub": ("-", 11), "mul": ("*", 12), "lt": ("<", 9), "le": ("<=", 9), "gt": (">", 9)}
INFIX |= {"ge": (">=", 9), "eq": ("==", 8), "ne": ("!=", 8), "and": ("&", 7), "or": ("|", 5)}
CALLS = {
    "exp": "exp_",
    "exp2": "exp2_",
    "sigmoid": "sigmoid_",
    "tanh": "tanh_",
    "relu": "relu_",
    "silu": "silu_",
    "gelu": "gelu_",
    "softplus": "softplus_",
    "xlogx": "xlogx_",
    "sign": "sign_",
    "max": "max_",
    "min": "min_",
    "abs": "abs_",
    "clamp": "clamp_",
    "floordiv": "floordiv_",
    "mod": "mod_",
    "pow": "pow_",
    "uniform": "uniform_",
    "log": "std::log",
    "log2": "std::log2",
    "log1p": "std::log1p",
    "expm1": "std::expm1",
    "sqrt": "std::sqrt",
    "erf": "std::erf",
    "sin": "std::sin",
    "cos": "std::cos",
}
ROUND = {"floor": "std::floor", "ceil": "std::ceil", "round": "std::nearbyint"}
ELEMENT = {"float32": "float", "float64": "double", "float16": "float", "bfloat16": "float"}
ELEMENT |= {"int64": "int64_t", "int32": "int64_t", "bool": "bool"}
ATOM = 20
STACK = 2 << 20  # bytes of arrays that a thread's stack surely has room for
LARGE = 64 << 10  # an array of so many bytes may lie elsewhere


@dataclass
class Printer:
    """Prints values of one kernel; knows which arrays exist and which loads are read in place."""

    kernel: Kernel
    named: dict[str, TileType] = field(default_factory=dict)
    views: dict[str, k.Load] = field(default_factory=dict)
    steps: dict[str, int | None] = field(default_factory=dict)
    temporaries: int = 0

    def __post_init__(self) -> None:
        """Takes the kernel's types and finds the loads that only matrix products read."""
        self.named = dict(self.kernel.types)
        self.axes = {axis.index: axis for axis in (*self.kernel.axes, *self.kernel.grid)}
        if self.kernel.parallel:
            self.axes[self.kernel.parallel.index] = self.kernel.parallel
        self.parallel = self.kernel.parallel.index if self.kernel.parallel else None
        self.viewable = self._viewable()
        self.roomy = sum(map(self._bytes, self.named)) > STACK

    def _bytes(self, name: str) -> int:
        kind = self.named[name]
        widths = {axis.index: axis.extent or axis.tile for axis in self.axes.values()}
        return 8 * math.prod(max(1, widths[axis]) for axis in kind.axes)

    def _viewable(self) -> set[str]:
        """Names of loads without the parallel index, read by products alone, where they lie as they are."""
        body = (*self.kernel.setup, *self.kernel.loops, *self.kernel.finish)
        plain: set[str] = set()
        elsewhere: set[str] = set()
        for statement in body:
            for node in walk(statement):
                if isinstance(node, k.Load):
                    (plain if self._in_place(node) else elsewhere).add(node.name)
                if isinstance(node, k.Dot):
                    continue
                elsewhere |= {child.name for child in _direct(node) if isinstance(child, k.Use)}
        return plain - elsewhere

    def _in_place(self, load: k.Load) -> bool:
        kind = self.named[load.name]
        edges = all(isinstance(test, k.Inside) for test in load.when)
        return (
            self.parallel is not None
            and self.parallel not in kind.axes
            and len(kind.axes) == 2
            and edges
            and kind.dtype in ("float32", "float64", "bfloat16", "float16")
            and all(isinstance(sub, k.Coord) or not self._varies(sub, kind.axes) for sub in load.subs)
        )

    def _varies(self, sub: k.Value, axes: tuple[str, ...]) -> bool:
        """Whether a subscript that is no bare position changes along one of these axes."""
        for node in walk(sub):
            if isinstance(node, k.Coord) and node.index in axes:
                return True
            if isinstance(node, k.Use) and set(self.named[node.name].axes) & set(axes):
                return True
        return False

    # ---- names and types ---------------------------------------------------------------------

    def tensor(self, name: str) -> str:
        """The pointer of a tensor."""
        return f"t_{name}"

    def _type(self, value: k.Value) -> TileType:
        found = tile_type(value, self.named, self._tiled, self.kernel.compute)
        order = [axis for axis in self._order() if axis in found.axes]
        return TileType(tuple(order), found.dtype)

    def _order(self) -> list[str]:
        return [*([self.parallel] if self.parallel else []), *(axis.index for axis in self.kernel.axes)]

    def _tiled(self, index: str) -> bool:
        if index in self.steps:
            return self.steps[index] is not None
        return (
            any(axis.index == index for axis in self.kernel.axes) and self._extent(index) is not None
        ) or index == self.parallel

    def _extent(self, index: str) -> int | None:
        return self.axes[index].extent

    @contextmanager
    def walking(self, index: str, step: int | None) -> Iterator[None]:
        """Inside a loop over the index, in tiles of `step` or point by point."""
        self.steps[index] = step
        yield
        del self.steps[index]

    def _length(self, axis: str) -> int:
        """How many elements an array has along an axis."""
        step = self.steps.get(axis)
        return step if step is not None else self.axes[axis].extent or self.axes[axis].tile

    def _count(self, axis: str) -> str:
        """How many of them a loop goes through."""
        if axis == self.parallel:
            return str(self.axes[axis].tile)
        if axis in self.steps:
            return f"{axis}_count"
        return str(max(0, self._extent(axis) or 0))

    def _layout(self, axes: tuple[str, ...]) -> tuple[str, ...]:
        """The axes in memory: the parallel one last."""
        return (*(axis for axis in axes if axis != self.parallel), *(axis for axis in axes if axis == self.parallel))

    # ---- text --------------------------------------------------------------------------------

    def text(self, value: k.Value) -> str:
        """The value at the loops' current element."""
        return self._text(value)[0]

    def _text(self, value: k.Value) -> tuple[str, int]:
        match value:
            case k.Const(number, dtype):
                return _literal(number, dtype), ATOM
            case k.Size(name):
                return f"{name}_size", ATOM
            case k.Coord(index):
                return self._position(index)
            case k.First(index):
                return f"{index}_first", ATOM
            case k.Last(index):
                return f"{index}_last", ATOM
            case k.Inside(index):
                return f"{index}_ < {index}_count" if self._tiled(index) else "true", 9
            case k.Use(name):
                return self._element(name), ATOM
            case k.Map(op, args):
                return self._map(op, args)
        raise AssertionError(f"{type(value).__name__} inside an expression")

    def _position(self, index: str) -> tuple[str, int]:
        if index == self.parallel or self.steps.get(index) is not None:
            return f"({index}_first + {index}_)", ATOM
        if index in self.steps or any(axis.index == index for axis in self.kernel.grid):
            return index, ATOM
        lo = self.text(self.axes[index].lo)
        return (f"(int64_t){index}_", ATOM) if lo == "0" else (f"({lo} + {index}_)", ATOM)

    def _element(self, name: str) -> str:
        layout = self._layout(self.named[name].axes)
        return f"v_{name}" + "".join(f"[{axis}_]" for axis in layout)

    def _map(self, op: str, args: tuple[k.Value, ...]) -> tuple[str, int]:
        if op == "select":
            test, then, other = (self._wrapped(arg, 4) for arg in args)
            return f"{test} ? {then} : {other}", 3
        if op.startswith("cast:"):
            return f"({ELEMENT[op.removeprefix('cast:')]}){self._wrapped(args[0], 15)}", 15
        if op == "neg":
            return f"-{self._wrapped(args[0], 15)}", 15
        if op == "not":
            return f"!{self._wrapped(args[0], 15)}", 15
        if op == "div":
            return f"{self._wrapped(args[0], 12)} / {self._wrapped(args[1], 13)}", 12
        if op == "rsqrt":
            return f"1 / std::sqrt({self.text(args[0])})", 12
        if op in ROUND:
            return f"(int64_t){ROUND[op]}({self.text(args[0])})", 15
        if op in INFIX:
            sign, level = INFIX[op]
            if op in ("and", "or"):  # the compiler asks for parentheses here
                return f" {sign} ".join(self._wrapped(arg, 13) for arg in args), level
            parts = [self._wrapped(args[0], level), *(self._wrapped(arg, level + 1) for arg in args[1:])]
            return f" {sign} ".join(parts), level
        return self._call(op, args)

    def _call(self, op: str, args: tuple[k.Value, ...]) -> tuple[str, int]:
        texts = [self.text(arg) for arg in args]
        if op in ("max", "min") and len(texts) != 2:
            result = texts[0]
            for text in texts[1:]:
                result = f"{CALLS[op]}<{self._common(args)}>({result}, {text})"
            return result, ATOM
        template = f"<{self._common(args)}>" if op in ("max", "min", "clamp") else ""
        return f"{CALLS[op]}{template}({', '.join(texts)})", ATOM

    def _common(self, args: tuple[k.Value, ...]) -> str:
        kinds = [ELEMENT[self._type(arg).dtype] for arg in args]
        return next((kind for kind in ("double", "float", "int64_t") if kind in kinds), "int64_t")

    def _wrapped(self, value: k.Value, level: int) -> str:
        text, own = self._text(value)
        return text if own >= level else f"({text})"

    # ---- statements --------------------------------------------------------------------------

    def declare(self, name: str) -> list[str]:
        """The array (or scalar) of a name: on the stack, but for a large one of a kernel with much of it."""
        kind = self.named[name]
        element, lengths = ELEMENT[kind.dtype], [max(1, self._length(axis)) for axis in self._layout(kind.axes)]
        dims = "".join(f"[{length}]" for length in lengths)
        if not self.roomy or 8 * math.prod(lengths) <= LARGE:
            return [f"{'alignas(64) ' if dims else ''}{element} v_{name}{dims};"]
        inner = "".join(f"[{length}]" for length in lengths[1:])
        return [
            f"const std::unique_ptr<{element}[]{inner}> {name}_owned(new {element}{dims});",
            f"{element} (*const v_{name}){inner} = {name}_owned.get();",
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
        name = f"x{self.temporaries}"
        self.named[name] = self._type(node)
        return name

    def _reduce(self, target: str, node: k.Reduce) -> list[str]:
        identity = {"sum": "0", "prod": "1", "max": "-INF", "min": "INF", "any": "false", "all": "true"}[node.op]
        element, text = self._element(target), self._wrapped(node.x, 13)
        kind = ELEMENT[self.named[target].dtype]
        if kind == "int64_t":
            identity = {"max": "INT64_MIN", "min": "INT64_MAX"}.get(node.op, identity)
        step = {
            "sum": f"{element} += {text};",
            "prod": f"{element} *= {text};",
            "max": f"{element} = max_<{kind}>({element}, {text});",
            "min": f"{element} = min_<{kind}>({element}, {text});",
            "any": f"{element} |= {text};",
            "all": f"{element} &= {text};",
        }[node.op]
        kept = self.named[target].axes
        others = [axis for axis in self._type(node.x).axes if axis not in kept]
        order = (*others, *self._layout(kept)) if self.parallel in kept else (*self._layout(kept), *others)
        return [*self.fill(target, identity), *self._ordered(order, [step])]

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

    def _dot(self, target: str, node: k.Dot) -> list[str]:
        a, b = node.a, node.b
        assert isinstance(a, k.Use)
        assert isinstance(b, k.Use)
        if self.parallel is None or self.parallel not in self.named[a.name].axes:
            return self._plain_dot(target, a, b, node.over)
        (row,) = (axis for axis in self.named[b.name].axes if axis != node.over)
        pointer, w_row, w_depth = self._strided(b.name, row, node.over)
        tile = self.axes[self.parallel].tile
        counts = f"{self._count(row)}, {self._count(node.over)}"
        operands = f"{pointer}, {w_row}, {w_depth}, &v_{a.name}[0][0]"
        return [f"matmul<{tile}>({counts}, &v_{target}[0][0], {operands});"]

    def _plain_dot(self, target: str, a: k.Use, b: k.Use, over: str) -> list[str]:
        element = self._element(target)
        kept = self._layout(self.named[target].axes)
        step = [f"{element} += {self._element(a.name)} * {self._element(b.name)};"]
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
            element, axes = self._element(update.state), self.named[update.state].axes
            before, lift = self._prepared(update.lift, None) if update.lift is not None else ([], None)
            kept = [f"{self._wrapped(coef, 12)} * {self._element(state)}" for coef, state in update.keep]
            text = self._combined(update, element, " + ".join(kept) or element, lift)
            lines += [*before, *self.nest(axes, [f"{element} = {text};"])]
        return lines

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


def _direct(node: object) -> list[object]:
    from attnc.ir.node import Node
    from attnc.ir.walk import children

    return list(children(node)) if isinstance(node, Node) else []


def _literal(number: bool | int | float, dtype: str) -> str:
    if isinstance(number, bool):
        return "true" if number else "false"
    if dtype in ("int32", "int64"):
        return str(int(number)) if number > -(2**63) else f"({1 - 2**63} - 1)"  # C++ has no literal for the least
    if dtype == "float32" and (narrow := ctypes.c_float(number).value) in (0.0, math.inf, -math.inf):
        number = narrow  # outside its range
    if math.isinf(number):
        return "INF" if number > 0 else "-INF"
    if math.isnan(number):
        return "NAN"
    text = repr(float(number))
    return f"{text}f" if dtype == "float32" else text
