"""The machines kernels are made for: one table of what the passes and the backends need to know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import compress, product
from typing import Literal

from attnc.diagnostics import error


@dataclass(frozen=True, slots=True)
class Registers:
    """What a thread's registers are spent on, as measured on compiled kernels: for each of its scores, its values of
    state, its addresses of 16 streamed bytes, for each further product, vector or accumulator, and in any case; for
    each operand of a product.
    """

    score: float
    state: float
    address: float
    further: float
    fixed: float
    operand: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """One machine. `onchip` is what a program's tiles may fill: L2 per core of a CPU, shared memory of a GPU.

    Rates are per cycle and core or multiprocessor: `matrix` operations of 16-bit products (a multiply-add is two),
    `real` of float32 ones, `functions` exponentials and the like, `vector` other operations, `chip` bytes from the
    cache that all share. `rows` and `keys` are the tile sides to choose from. To GPUs belong the numbers of `warps` a
    program may have, the `stages` of loads ahead, the `registers` of a thread, what it has `spent` on what, the rows
    that its matrix `unit` takes at once (tiles of fewer are multiplied as before there was one), the `pool` of a
    multiprocessor, and the words of a `schedule` that it `has`: under every one a kernel computes the same. Where
    it is `persistent`, as many programs as the machine holds at once walk over all tiles, the longest first; with
    `descriptors` loops read whole tiles by the copy engine, where a tensor's layout allows; where it is `specialised`,
    warps of their own copy what others compute on.
    A kernel that is `alone` may add up a score in another order than kernels elsewhere: no backward compares with what
    it gives. Products of the `narrow` types run at the `matrix` rate, and may have tiles of `long` positions besides;
    where the `nearest` cache has a size, what does not stay in it counts.
    """

    name: str
    kind: Literal["cpu", "cuda", "hip"]
    onchip: int
    matrix: float
    real: float
    functions: float
    vector: float
    chip: float
    rows: tuple[int, ...]
    keys: tuple[int, ...]
    warp: int = 1
    warps: tuple[int, ...] = (1,)
    stages: int = 1
    registers: int = 0
    pool: int = 0
    spent: Registers | None = None
    capability: int = 0
    has: tuple[str, ...] = ()
    schedule: tuple[str, ...] = ()
    alone: bool = False
    narrow: tuple[str, ...] = ("float16", "bfloat16")
    long: tuple[int, ...] = ()
    nearest: int = 0
    unit: int = 0

    def resident(self, registers: int, shared: int, warps: int) -> int:
        """How many programs a multiprocessor holds at once."""
        threads = self.warp * warps
        whole = 8 * -(-max(1, registers) // 8)
        return min(self.pool // (whole * threads), self.onchip // max(1, shared), THREADS // threads)

    def occupancy(self, registers: int, shared: int, warps: int) -> float:
        """The share of a multiprocessor's threads that programs fill."""
        return self.resident(registers, shared, warps) * self.warp * warps / THREADS

    def schedules(self) -> Iterator[Target]:
        """The same under every other schedule."""
        for chosen in product((False, True), repeat=len(self.has)):
            words = tuple(compress(self.has, chosen))
            if words != self.schedule:
                yield replace(self, schedule=words)

    def spends(self, rows: int, *, halves: bool, wide: bool) -> tuple[Registers, ...]:
        """What registers are spent on by tiles of so many rows with products of 16-bit operands, and of `wide` ones."""
        assert self.spent is not None, "a GPU has registers"
        own = _FRAGMENTS if halves and rows < self.unit else self.spent
        if not wide or self.kind == "hip":  # whose units multiply float32 too
            return (own,)
        return (own, _THREADS) if halves else (_THREADS,)

    def multiplies(self, rows: int) -> float:
        """The rate of 16-bit products by tiles of so many rows."""
        return self.matrix if rows >= self.unit else min(self.matrix, FRAGMENTS_RATE)

    @property
    def few(self) -> int:
        """Rows that the smallest tile holds."""
        return self.rows[-1]

    @property
    def with_whole_vectors(self) -> Target:
        """The same without tiles of fewer rows than fill a vector."""
        return self if self.rows[-1] >= WHOLE else _with_few_rows(self, WHOLE)

    @property
    def for_plain_calls(self) -> Target:
        """The machine for calls that nothing is differentiated of."""
        return _alone(self)

    def for_rows(self, rows: int, *, exact: bool = False) -> Target:
        """The machine for calls of so many rows: of few it makes one small tile, of more what is best for long ones.

        With `exact` a CPU's tile has hardly more rows than the call, if it is alone.
        """
        if rows > self.few:
            return self
        return _with_few_rows(self, _tile(rows) if exact and self.alone and self.kind == "cpu" else self.few)


WHOLE = 16  # rows of a tile that fill the widest vector of floats
LONG = 128  # positions of a tile of fewer rows: what a turn of the loop costs besides them is shared by more


def _tile(rows: int) -> int:
    """The smallest tile of so many rows."""
    return next(few for few in (1, 4, WHOLE) if few >= rows)


@cache
def _alone(target: Target) -> Target:
    return replace(target, alone=True)


@cache
def _with_few_rows(target: Target, rows: int) -> Target:
    keys = (LONG,) if rows < WHOLE else target.keys
    return replace(target, rows=(rows,), keys=keys, nearest=0)  # what few rows wait for comes from afar


THREADS = 2048  # of a multiprocessor
FRAGMENTS_RATE = 2048  # operations per cycle of products whose operands pass through registers
_FRAGMENTS = Registers(1.5, 1.0, 1.0, 0.3, 138)  # operands of products pass through registers
_WARPGROUPS = Registers(1.5, 1.0, 1.0, 0.8, 82)  # operands are read where they are shared
_TENSORS = Registers(2.5, 0.5, 1.5, 1.0, 40)  # sums of products have a memory of their own
_WAVES = Registers(1.2, 0.25, 10, 4.0, 90)  # every wave holds what is streamed
_THREADS = Registers(1.5, 1.0, 1.0, 0.3, 16, 0.5)  # each thread multiplies what it holds
_GPU = ((128, 64, 32, 16), (128, 64, 32, 16))
_WALKS = ("persistent",)
_COPIES = ("persistent", "descriptors")
_PARTS = ("persistent", "descriptors", "specialised")


def _cuda(
    capability: int, kilobytes: int, matrix: float, chip: float, stages: int, spent: Registers, has: tuple[str, ...]
) -> Target:
    """What differs from one to the next."""
    rates, warps = (matrix, 256, 16, 128, chip), (4, 8)
    target = Target(f"sm_{capability}", "cuda", kilobytes << 10, *rates, *_GPU, 32, warps, stages, 255, 1 << 16)
    unit = 64 if spent is not _FRAGMENTS else 0
    return replace(target, spent=spent, unit=unit, capability=capability, has=has)


# A CPU's rates are those of a core with AVX-512; the 16-bit rate is float32's, since operands are widened.
_TARGETS = (
    Target("cpu", "cpu", 1 << 20, 55, 55, 1.2, 24, 24, (64, 32, 16), (64, 32, 16)),
    _cuda(80, 163, 2048, 30, 3, _FRAGMENTS, _WALKS),
    _cuda(86, 99, 1024, 15, 2, _FRAGMENTS, _WALKS),
    _cuda(89, 99, 1024, 20, 2, _FRAGMENTS, _WALKS),
    _cuda(90, 227, 4096, 25, 3, _WARPGROUPS, _COPIES),
    _cuda(100, 227, 8192, 44, 3, _TENSORS, _PARTS),
    _cuda(120, 99, 1024, 20, 2, _FRAGMENTS, _COPIES),
    Target("gfx942", "hip", 64 << 10, 2048, 256, 16, 128, 27, *_GPU, 64, (4,), 1, 512, 1 << 17, _WAVES, 0, _WALKS),
)
TARGETS = {target.name: target for target in _TARGETS}
NEAREST = 48 << 10  # bytes of such a core's first cache
MATRIX = 1024  # operations per cycle of a core with registers for tiles: 16 x 16 x 32 multiply-adds in 16 cycles


def with_tiles(target: Target) -> Target:
    """A CPU whose processor multiplies bfloat16 a tile at a time: so fast that it waits for what lies farther away."""
    return replace(target, matrix=MATRIX, narrow=("bfloat16",), long=(2 * target.keys[0],), nearest=NEAREST)


def find_target(name: str) -> Target:
    """The target `sm_90`, or `sm_90+persistent` under a schedule; error A503 where there is none."""
    base, *words = name.split("+")
    near = {"sm_87": "sm_86", "sm_103": "sm_100", "sm_121": "sm_120"}
    if (found := TARGETS.get(near.get(base, base))) is None:
        known = ", ".join(f"`{target}`" for target in TARGETS)
        raise error("A503", f"there is no target `{name}`", helps=(f"targets are {known}",))
    for word in words:
        if word not in found.has:
            known = ", ".join(f"`{base}+{word}`" for word in found.has) or "none"
            raise error("A503", f"`{base}` has no schedule `{word}`", helps=(f"schedules of it are {known}",))
    return replace(found, schedule=tuple(word for word in found.has if word in words)) if words else found
