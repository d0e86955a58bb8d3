"""Tiles that a loop reads as a whole: by a tensor descriptor, which the copy engine of a GPU follows.

A read has one where it takes consecutive positions along a tile axis and along a tensor's last axis, and where all else
in its subscripts is known before the loop. What lies beyond an axis is read as 0, as by a load with a mask. A kernel
has both forms, and a launch takes the one that the layouts of its tensors allow: `DESCRIBED`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from attnc.codegen.triton_operators import ADDED, MULTIPLIED
from attnc.codegen.triton_values import Printer
from attnc.ir import kernel as k
from attnc.ir.kernel import Axis, Kernel, Param
from attnc.ir.walk import walk

BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
UNIT = 16  # bytes that the copy engine moves at least, and that rows and starts are multiples of


@dataclass
class Descriptors:
    """The descriptors of a kernel by name, and the reads that follow them."""

    kernel: Kernel
    printer: Printer
    made: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Notes which names are known before the loops."""
        made = (item for item in self.kernel.setup if isinstance(item, k.Let | k.Load))
        self.known = {item.name for item in made}

    def lines(self) -> list[str]:
        """The statements that make all descriptors, between the setup and the loops."""
        made = [f"{name} = {text}" for name, text in self.made.items()]
        return ["if DESCRIBED:", *(f"    {line}" for line in made)] if made else []

    def read(self, load: k.Load, pointers: str, tests: list[str], address: str) -> list[str]:
        """A load in both forms; by pointers alone where it cannot be described."""
        found = self._tile(load)
        if found is None:
            return [pointers]
        row, column = found
        name = self._named(load.tensor, f"tl.make_tensor_descriptor({address}, {self._shape(load, row, column)})")
        at = self._offset(load, row)
        if tests:
            at = f"tl.where({' & '.join(tests)}, {at}, {self._end(load, row)})"  # beyond the end, where all is 0
        taken = f"b_{load.name} = {name}.load([{at}, {self._offset(load, column)}])"
        return ["if DESCRIBED:", f"    {taken}", "else:", f"    {pointers}"]

    # ---- which reads ---------------------------------------------------------------------------

    def _tile(self, load: k.Load) -> tuple[int, int] | None:
        """The places of the tile axis and of the last axis in a tensor's subscripts."""
        printer, param = self.printer, self._param(load)
        axes = printer.named[load.name].axes
        places = [place for place, sub in enumerate(load.subs) if printer.type(sub).axes]
        if param.dtype not in BYTES or len(axes) != 2 or len(places) != 2 or places[1] != len(load.subs) - 1:
            return None
        row, column = (load.subs[place] for place in places)
        plain = isinstance(row, k.Coord) and isinstance(column, k.Coord) and (row.index, column.index) == axes
        others = (sub for place, sub in enumerate(load.subs) if place not in places)
        if not plain or not all(map(self._is_known, others)):
            return None
        assert isinstance(row, k.Coord)
        assert isinstance(column, k.Coord)
        whole = column.index in printer.inner and row.index in printer.steps
        masked = all(isinstance(test, k.Inside) for test in load.when)
        return (places[0], places[1]) if whole and masked and self._fits(load, places[1]) else None

    def _is_known(self, sub: k.Value) -> bool:
        """Whether a subscript has one value for a program, before its loops."""
        return all(self._is_fixed(node) for node in walk(sub))

    def _is_fixed(self, node: object) -> bool:
        match node:
            case k.Use(name):
                return name in self.known
            case k.Coord(index) | k.First(index) | k.Last(index):
                return index not in self.printer.steps
            case k.Load() | k.Reduce() | k.Dot() | k.Inside():
                return False
        return True

    def _fits(self, load: k.Load, place: int) -> bool:
        """Whether the lanes of the last axis begin on a unit and fill one."""
        axis, size = self._axis(load, place), BYTES[self._param(load).dtype]
        start = self._offset(load, place)
        return start.isdigit() and int(start) * size % UNIT == 0 and self.printer.width(axis.index) * size >= UNIT

    # ---- text ----------------------------------------------------------------------------------

    def _param(self, load: k.Load) -> Param:
        return next(param for param in self.kernel.params if param.name == load.tensor)

    def _axis(self, load: k.Load, place: int) -> Axis:
        sub = load.subs[place]
        assert isinstance(sub, k.Coord)
        return self.printer.axes[sub.index]

    def _offset(self, load: k.Load, place: int) -> str:
        """The first position of a tile in its tensor."""
        axis, base = self._axis(load, place), self._param(load).base[place]
        if axis.index in self.printer.steps:
            return self._less(f"{axis.index}_first", base)
        return "0" if axis.lo == base else self._less(self.printer.text(axis.lo, ADDED), base)

    def _end(self, load: k.Load, place: int) -> str:
        """The first position in a tensor that lies beyond an axis."""
        axis, base = self._axis(load, place), self._param(load).base[place]
        return self._less(self.printer.text(axis.hi, ADDED), base)

    def _less(self, text: str, base: k.Value) -> str:
        start = self.printer.text(base, MULTIPLIED)
        return text if start == "0" else f"{text} - {start}"

    def _shape(self, load: k.Load, row: int, column: int) -> str:
        shape = f"[{self._end(load, row)}, {self._end(load, column)}]"
        lanes = ", ".join(str(self.printer.width(self._axis(load, place).index)) for place in (row, column))
        return f"{shape}, [{load.tensor}_s{row}, 1], [{lanes}]"

    def _named(self, tensor: str, text: str) -> str:
        """The name of a descriptor; the same one where a loop reads as another does."""
        for name, known in self.made.items():
            if known == text:
                return name
        name, number = f"d_{tensor}", 2
        while name in self.made:
            name, number = f"d_{tensor}{number}", number + 1
        self.made[name] = text
        return name
