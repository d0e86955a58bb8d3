"""Bindings that nothing reads: a name in one block is not the same name in another."""

import re

import attnc
from attnc.ir import kernel as k
from attnc.ir.kernel import DType
from attnc.ir.target import find_target
from attnc.ir.walk import walk
from attnc.passes.lower import lower
from attnc.passes.lower.dead import without_dead
from attnc.runtime.kernels import backward_kernels

ONE = k.Const(1.0, "float32")
ZERO, TEN = k.Const(0, "int32"), k.Const(10, "int32")


def loop(*body: k.Statement) -> k.Loop:
    return k.Loop("n", ZERO, TEN, 1, False, body)


def let(name: str, value: k.Value = ONE) -> k.Let:
    return k.Let(name, value)


def read(name: str, state: str = "s") -> k.Set:
    return k.Set(state, k.Use(name))


def test_a_chain_that_ends_nowhere_is_left_out() -> None:
    assert without_dead((let("a"), let("b", k.Use("a"))), (), ()) == ((), (), ())


def test_what_a_later_scope_reads_stays() -> None:
    setup, loops, finish = (let("a"), let("b")), (loop(read("a")),), (read("b"),)
    assert without_dead(setup, loops, finish) == (setup, loops, finish)


def test_a_name_that_only_the_neighbour_reads_is_left_out() -> None:
    used, unused = loop(let("a"), read("a")), loop(let("a"), read("t", "s"))
    assert without_dead((let("t"),), (used, unused), ())[1] == (used, loop(read("t", "s")))


def test_a_name_bound_again_hides_the_first_one() -> None:
    body = (let("a"), loop(let("a"), read("a")))
    assert without_dead((), (loop(*body),), ())[1] == (loop(body[1]),)


def test_sizes_that_only_such_bindings_read_are_not_handed_over() -> None:
    program = attnc.load("std:dynamic_local").program()
    for stage in program.streams:
        needed, place = program.needs[stage.name], find_target("cpu").for_rows(8)
        dtypes: dict[str, DType] = dict.fromkeys(needed.tensors, "float32")
        kernel = lower(stage, program.explicit, place, dtypes, dict.fromkeys(needed.compiled_in, 4))
        read = {node.name for node in walk(kernel) if isinstance(node, k.Size)}
        assert {name for name, _ in kernel.sizes} == read


def test_sizes_at_which_only_tensors_begin_are_handed_over() -> None:
    program = attnc.load("std:palm_layer").program()
    shape = dict.fromkeys("hefcdk", 4)
    for item in backward_kernels(program, "cpu", "fp32", shape).values():
        named = {f"{name}_size" for name, _ in item.signature.sizes}
        assert set(re.findall(r"\w+_size\b", item.source)) == named
