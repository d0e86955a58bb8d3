"""Reads and writes of tensors in C++."""

from __future__ import annotations

from dataclasses import dataclass, replace

from attnc.codegen.cpp_names import STORED
from attnc.codegen.cpp_states import States
from attnc.ir import kernel as k


@dataclass(frozen=True)
class Square:
    """Rows of memory that are the columns of a tile: its rows, where they lie, strides, lengths, and their axis."""

    side: int
    pointer: str
    row: str
    step: str
    rows: str
    columns: str
    along: str

    def text(self, first: int = 0, columns: int | None = None) -> str:
        """The arguments of a function for so many columns from this one on; for all of them by default."""
        return f"{self.side}>({self.place(first, columns)}"

    def place(self, first: int = 0, columns: int | None = None) -> str:
        """Where they lie, and how many they are."""
        pointer = f"{self.pointer} + {first} * {self.step}" if first else self.pointer
        count = self.columns if columns is None else str(columns)
        return f"{pointer}, {self.row}, {self.step}, {self.rows}, {count}"


@dataclass
class Memory(States):
    """Prints the statements of one kernel."""

    def load(self, load: k.Load) -> list[str]:
        """A read: in place where only products want it, else into an array of the type of arithmetic."""
        if load.name in self.viewable:
            self.views[load.name] = load
            return []
        kind = self.named[load.name]
        if not load.when or all(isinstance(test, k.Inside) for test in load.when):
            if load.name in self.paired and (square := self._square(load, kind.axes)) is not None:
                return self._pairs(load.name, square)
            rows = self._rows(load, kind.axes)
            if rows:
                self.shares(
                    "read_rows", self._length(self.parallel or ""), self.element(load.name), self.stored(load.tensor)
                )
                return [*self.declare(load.name), *rows]
        tensor = self.tensor(load.tensor)
        spots = [self._offset(self.text(sub), load, place) for place, sub in enumerate(load.subs)]
        address = " + ".join(f"{spot} * {tensor}_s[{place}]" for place, spot in enumerate(spots)) or "0"
        tests = [
            self.text(test) if self._text(test)[1] > 7 else f"({self.text(test)})"
            for test in load.when
            if not isinstance(test, k.Inside)
        ]
        tests += self._ends(kind.axes)
        for place, sub in enumerate(load.subs):
            if not isinstance(sub, k.Coord | k.Const) and place not in load.inside:
                tests.append(f"(uint64_t){spots[place]} < (uint64_t){tensor}_n[{place}]")
        real = kind.dtype in ("float32", "float64", "float16", "bfloat16")
        line = None if tests or real else self._line(load, kind.axes)
        if line is not None:
            return [*self.declare(load.name), f"read_line({line}, v_{load.name});"]
        value = f"real({tensor}[{address}])" if real else f"{tensor}[{address}]"
        guarded = f"{' && '.join(tests)} ? {value} : 0" if tests else value
        if not kind.axes:
            return [f"const {self.element(load.name)} v_{load.name} = {guarded};", f"(void)v_{load.name};"]
        return [*self.declare(load.name), *self._by_rows(kind.axes, f"{self._element(load.name)} = {guarded};")]

    def store(self, store: k.Store) -> list[str]:
        """A value written to an output, lanes outside the axis left out."""
        before, value = self._computed(store.value)
        param = next(param for param in self.kernel.params if param.name == store.tensor)
        tensor = self.tensor(store.tensor)
        axes = tuple(dict.fromkeys(axis for sub in store.subs for axis in self.type_of(sub).axes))
        plain = _uncast(value) if param.dtype in ("float16", "bfloat16") else value
        if isinstance(plain, k.Use) and self.type_of(plain).axes == self.type_of(value).axes:
            square = self._square(store, axes) if set(self.named[plain.name].axes) == set(axes) else None
            if square is not None:
                rows, element = self._length(self.parallel or ""), self.element(plain.name)
                self.shares("write_rows", rows, element, self.stored(store.tensor))
                return [*before, f"write_rows<{square.text()}, v_{plain.name});"]
        spots = [self._offset(self.text(sub), store, place) for place, sub in enumerate(store.subs)]
        address = " + ".join(f"{spot} * {tensor}_s[{place}]" for place, spot in enumerate(spots)) or "0"
        kind = STORED[param.dtype]
        text = self.text(value)
        real = param.dtype in ("float32", "float64", "float16", "bfloat16")
        text = f"stored<{kind}>({self.text(plain)})" if real else f"({kind})({text})"
        guard = f"if ({' && '.join(self._ends(axes))}) " if self._ends(axes) else ""
        return [*before, *self._by_rows(axes, f"{guard}{tensor}[{address}] = {text};")]

    def _ends(self, axes: tuple[str, ...]) -> list[str]:
        """The tests that keep rows and lanes inside their axes."""
        return [f"{axis}_ < {axis}_count" for axis in dict.fromkeys((self.rows, self.parallel)) if axis in axes]

    def _rows(self, load: k.Load, axes: tuple[str, ...]) -> list[str]:
        """Reads of rows of memory as the columns of a tile: one, or two where they wrap around; none elsewhere."""
        plain, shift, length = _unrolled(load)
        square = self._square(plain, axes)
        if square is None or shift == 0:
            return [f"read_rows<{square.text()}, v_{load.name});"] if square is not None else []
        axis = self.axes[square.along]
        if axis.extent != length or axis.lo != k.Const(0, "int32"):
            return []
        later, first = square.text(shift, length - shift), square.text(0, shift)
        return [f"read_rows<{later}, v_{load.name});", f"read_rows<{first}, v_{load.name} + {length - shift});"]

    def _pairs(self, name: str, square: Square) -> list[str]:
        """A read of rows of memory as products of bfloat16 want them: the array is for machines without such."""
        self.shares("read_pairs", square.side)
        self.read_paired.add(name)
        kind = f"Packed<{square.side}, {self._length(square.along)}>"
        return [*self.declare(name), f"const {kind} p_{name}(&v_{name}[0][0], {square.place()});"]

    def _square(self, access: k.Load | k.Store, axes: tuple[str, ...]) -> Square | None:
        """How rows of memory are the columns of a tile; None where they are not."""
        param = next(param for param in self.kernel.params if param.name == access.tensor)
        places = [sub.index for sub in access.subs if isinstance(sub, k.Coord) and sub.index in axes]
        plain = all(isinstance(sub, k.Coord | k.Const) for sub in access.subs)
        real = param.dtype in ("float32", "float64", "float16", "bfloat16")
        if self.parallel not in axes or sorted(places) != sorted(axes) or len(axes) != 2 or not plain or not real:
            return None
        (other,) = (axis for axis in axes if axis != self.parallel)
        placed = self.placed(access, self.parallel, other)
        return Square(self._length(self.parallel), *placed, f"{self.parallel}_count", self._count(other), other)

    def _line(self, load: k.Load, axes: tuple[str, ...]) -> str | None:
        """Where positions along one axis lie, their stride and how many they are; None for any other read."""
        along = [sub for sub in load.subs if isinstance(sub, k.Coord) and sub.index in axes]
        others = [sub for sub in load.subs if sub not in along]
        if len(axes) != 1 or len(along) != 1 or any(self.type_of(sub).axes for sub in others):
            return None
        pointer, _, step = self.placed(load, axes[0], axes[0])
        return f"{pointer}, {step}, {self._count(axes[0])}"

    def _computed(self, value: k.Value) -> tuple[list[str], k.Value]:
        """A value that is there: lanes are computed first, for they are written one by one."""
        before, value = self.prepared(value, None)
        if isinstance(value, k.Use) or not self.varies(value):
            return before, value
        name = self._temporary(value)
        return [*before, *self.declare(name), *self.written(name, value)], k.Use(name)

    def _by_rows(self, axes: tuple[str, ...], line: str) -> list[str]:
        """A nest of single elements; what a row of a tile has lies side by side in memory."""
        rows = tuple(axis for axis in axes if axis == self.parallel)
        return self.over((*rows, *(axis for axis in axes if axis != self.parallel)), [line])


def _unrolled(load: k.Load) -> tuple[k.Load, int, int]:
    """The read of x[e] for one of x[e = (e + shift) % length], the shift and the length; any other as it is."""
    for place in load.inside:
        match load.subs[place]:
            case k.Map(
                "mod", (k.Map("add" | "sub" as op, (k.Coord() as own, k.Const(int() as by))), k.Const(int() as length))
            ):
                subs = (*load.subs[:place], own, *load.subs[place + 1 :])
                return replace(load, subs=subs, inside=()), (by if op == "add" else -by) % length, length
    return load, 0, 0


def _uncast(value: k.Value) -> k.Value:
    if isinstance(value, k.Map) and value.op.startswith("cast:"):
        return value.args[0]
    return value
