"""Which form each product of a kernel takes in C++, and which loads are read in place for them."""

from __future__ import annotations

from dataclasses import dataclass, field

from attnc.codegen.compared import compared, made_of_whole, stored_whole
from attnc.codegen.cpp_names import FEW, Names
from attnc.ir import kernel as k
from attnc.ir.walk import walk


@dataclass
class Forms(Names):
    """Tells products apart by where their operands have the lanes, and whether these are bfloat16."""

    views: dict[str, k.Load] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Finds the loads that only matrix products read, and what is rounded for these."""
        super().__post_init__()
        self.plain = {dot for dots in compared(self.kernel) if not all(map(self._has_rows, dots)) for dot in dots}
        self.viewable = self._viewable()
        self.turned = self._turned()
        self.whole = stored_whole(self.kernel)
        self.exact = made_of_whole(self.kernel)
        self.packed = self._packed() if self._reads_bfloat16() else frozenset()
        self.paired = self._paired_loads()

    def _viewable(self) -> set[str]:
        """Names of loads without the parallel index, read by products alone, where they lie as they are."""
        plain: set[str] = set()
        elsewhere: set[str] = set()
        for statement in self._body():
            for node in walk(statement):
                if isinstance(node, k.Load):
                    (plain if self._in_place(node) else elsewhere).add(node.name)
                if isinstance(node, k.Dot) and (self.is_few(node) or (self.is_matmul(node) and not self.few)):
                    continue
                elsewhere |= {child.name for child in _direct(node) if isinstance(child, k.Use)}
        return plain - elsewhere

    def _turned(self) -> frozenset[str]:
        """Names that are summed over the tile's rows: what lies side by side in them then is another axis."""
        nodes = (node for statement in self._body() for node in walk(statement))
        sums = (node for node in nodes if isinstance(node, k.Dot) and self.is_across(node))
        return frozenset(node.b.name for node in sums if isinstance(node.b, k.Use))

    def _packed(self) -> frozenset[tuple[str, bool]]:
        """Tiles that products read which may round them to bfloat16, and whether with their rows first.

        What changes is not among them: it is rounded once for all that read it.
        """
        nodes = [node for statement in self._body() for node in walk(statement)]
        made = {node.name for node in nodes if isinstance(node, k.Let | k.Load)}
        made -= {node.name for node in nodes if isinstance(node, k.State | k.Set)}
        narrow = [node for node in nodes if isinstance(node, k.Dot) and self._is_narrow(node)]
        return frozenset(side for side in map(self._wide_side, narrow) if side[0] in made)

    def _paired_loads(self) -> frozenset[str]:
        """Loads of bfloat16 that nothing reads but products which want it in pairs."""
        nodes = [node for statement in self._body() for node in walk(statement)]
        loads = {node.name for node in nodes if isinstance(node, k.Load) and self.named[node.name].dtype == "bfloat16"}
        read = {
            child.name
            for node in nodes
            for child in _direct(node)
            if isinstance(child, k.Use)
            and not (isinstance(node, k.Dot) and self.is_packed(node) and self._wide_side(node) == (child.name, False))
        }
        return frozenset(name for name, rows_first in self.packed if not rows_first) & loads - read - self.turned

    def is_packed(self, dot: k.Dot) -> bool:
        """Whether a product reads a tile that is rounded for it."""
        return self._is_narrow(dot) and self._wide_side(dot) in self.packed

    def _reads_bfloat16(self) -> bool:
        """Whether all that is read along inner axes is bfloat16: what is computed of more would lose by rounding."""
        loads = (node.name for statement in self._body() for node in walk(statement) if isinstance(node, k.Load))
        kinds = (self.named[name] for name in loads)
        found = {kind.dtype for kind in kinds if any(self._extent(axis) is not None for axis in kind.axes)}
        return found & {"bfloat16", "float16", "float32", "float64"} == {"bfloat16"}

    def _is_narrow(self, dot: k.Dot) -> bool:
        """Whether the factors of a tile's product are bfloat16 in memory, or one is and the other may be rounded."""
        sides = [self.named[side.name].dtype for side in (dot.a, dot.b) if isinstance(side, k.Use)]
        rounds = "bfloat16" in sides and (
            sides[0] == sides[-1] or not (dot in self.whole.products or self._cancels(dot))
        )
        return rounds and not self.few and (self.is_across(dot) or self.is_matmul(dot))

    def _cancels(self, dot: k.Dot) -> bool:
        """Whether a score is made of statistics, as incoming gradients may be: what it meets has not been rounded."""
        names = {side.name for side in (dot.a, dot.b) if isinstance(side, k.Use)}
        return self._extent(dot.over) is not None and not names.isdisjoint(self.exact)

    def _wide_side(self, dot: k.Dot) -> tuple[str, bool]:
        """What has a product's columns side by side, and whether it is a tile with its rows first."""
        if not self.is_across(dot):
            return self.operands(dot)[0].name, False
        assert isinstance(dot.b, k.Use)
        return dot.b.name, True

    def is_across(self, dot: k.Dot) -> bool:
        """Whether a product sums over the lanes, and its columns are whole vectors."""
        if self.parallel is None or dot.over != self.parallel:
            return False
        return self.kernel.serial or self._length(self.columns_of(dot)) % FEW == 0

    def columns_of(self, dot: k.Dot) -> str:
        """The axis of a product's second operand that is not summed over."""
        assert isinstance(dot.b, k.Use)
        (found,) = (axis for axis in self.named[dot.b.name].axes if axis != dot.over)
        return found

    def is_matmul(self, dot: k.Dot) -> bool:
        """Whether the matrix kernel takes a product: one with lanes, and so all it is compared with."""
        return dot not in self.plain and self._has_rows(dot)

    def takes_part(self, fold: k.Dot | k.Reduce) -> bool:
        """Whether a fold along positions can leave some out: not a product of operands that it converts."""
        if isinstance(fold, k.Reduce) or not self.is_matmul(fold):
            return True
        return self.named[self.operands(fold)[1].name].dtype == self.kernel.compute and not self.is_packed(fold)

    def _has_rows(self, dot: k.Dot) -> bool:
        return dot.over != self.parallel and len(self._with_lanes(dot)) == 1

    def _with_lanes(self, dot: k.Dot) -> list[k.Use]:
        operands = [item for item in (dot.a, dot.b) if isinstance(item, k.Use)]
        return [item for item in operands if self.parallel is not None and self.parallel in self.named[item.name].axes]

    def is_few(self, dot: k.Dot) -> bool:
        """Whether a product of few rows takes what is streamed from where it lies: keys of scores, or values."""
        if not self.few or dot in self.plain:
            return False
        wide = dot.over == self.parallel
        rows, streamed = (dot.a, dot.b) if wide else self.operands(dot) if self._has_rows(dot) else (dot.a, dot.a)
        rows, streamed = (rows, streamed) if wide else (streamed, rows)
        assert isinstance(rows, k.Use)
        assert isinstance(streamed, k.Use)
        own = self._layout(self.named[rows.name].axes)
        return own == (self.rows, dot.over) and self._layout(self.named[streamed.name].axes)[-1:] == (self.parallel,)

    def operands(self, dot: k.Dot) -> tuple[k.Use, k.Use]:
        """The operand that has the lanes, and the other."""
        assert isinstance(dot.a, k.Use)
        assert isinstance(dot.b, k.Use)
        (wide,) = self._with_lanes(dot)
        return (dot.a, dot.b) if wide is dot.a else (dot.b, dot.a)

    def _in_place(self, load: k.Load) -> bool:
        kind = self.named[load.name]
        edges = all(isinstance(test, k.Inside) for test in load.when)
        return (
            self.parallel is not None
            and self.rows not in kind.axes
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


def _direct(node: object) -> list[object]:
    from attnc.ir.node import Node
    from attnc.ir.walk import children

    return list(children(node)) if isinstance(node, Node) else []
