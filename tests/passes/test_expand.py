"""Stated cascades and their explicit forms, both as text; the meaning is compared on inputs besides."""

from __future__ import annotations

from textwrap import dedent

import pytest
import torch

from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run
from attnc.ir.print_cascade import show_cascade
from attnc.ir.verify import explicit as is_explicit
from attnc.ir.verify import ordered, resolved, verify
from attnc.passes.expand import expand
from tests.passes.written import explicit, stated


def body(text: str) -> str:
    """The statements of the explicit form, without the ranges."""
    lines = show_cascade(explicit(dedent(text))).splitlines()[1:]
    return "\n".join(line.strip() for line in lines if not line.strip().startswith("index"))


def expands(text: str, expected: str) -> None:
    assert body(text) == dedent(expected).strip()


def test_softmax_is_three_passes() -> None:
    expands(
        """
        attention alibi(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], slope[h]) -> O:
            index N - M <= m < N
            S[b,h,m,n] = Q * K / sqrt(E)
            A[b,h,m,n] = softmax[n](S - slope * (m - n) where n <= m)
            O[b,h,m,f] = A * V
        """,
        """
        S[b,h,m,n] = sum[e](Q[b,h,m,e] * K[b,h,n,e] / sqrt(E))
        A_score[b,h,m,n] = S[b,h,m,n] - slope[h] * (m - n) where n <= m
        A_max[b,h,m] = max[n](A_score[b,h,m,n] where n <= m)
        A_exp[b,h,m,n] = exp(shift(A_score[b,h,m,n], A_max[b,h,m])) where n <= m
        A_sum[b,h,m] = sum[n](A_exp[b,h,m,n] where n <= m)
        A[b,h,m,n] = A_exp[b,h,m,n] / A_sum[b,h,m] where n <= m
        O[b,h,m,f] = sum[n](A[b,h,m,n] * V[b,h,n,f] where n <= m)
        """,
    )


def test_softmax_and_logsumexp_of_one_tensor_share_their_state() -> None:
    expands(
        """
        attention both(S[m,n], V[n,f]) -> O, L:
            O[m,f] = softmax[n](S) * V
            L[m] = logsumexp[n](S[m,n])
        """,
        """
        O_max[m] = max[n](S[m,n])
        O_exp[m,n] = exp(shift(S[m,n], O_max[m]))
        O_sum[m] = sum[n](O_exp[m,n])
        O[m,f] = sum[n](O_exp[m,n] / O_sum[m] * V[n,f])
        L[m] = log(O_sum[m]) + O_max[m]
        """,
    )


def test_the_conditions_of_a_fold_are_those_that_mention_its_indices() -> None:
    expands(
        """
        attention rows(x[m,n], live[m]: bool) -> y:
            y[m] = sum[n]((x where n <= m) where live)
        """,
        """
        y[m] = sum[n](x[m,n] where n <= m) where live[m]
        """,
    )


def test_a_clause_is_a_unit() -> None:
    expands(
        """
        attention rows(x[m,n], live[m]: bool) -> y:
            y[m] = sum[n](x where n <= m and live)
        """,
        """
        y[m] = sum[n](x[m,n] where n <= m and live[m])
        """,
    )


def test_naming_an_intermediate_changes_nothing() -> None:
    expands(
        """
        attention rows(x[m,n], live[m]: bool) -> y:
            z[m,n] = (x where n <= m) where live
            y[m] = sum[n](z[m,n])
        """,
        """
        z[m,n] = (x[m,n] where n <= m) where live[m]
        y[m] = sum[n](z[m,n] where n <= m) where live[m]
        """,
    )


def test_a_window_by_offset_skips_keys_that_do_not_exist() -> None:
    expands(
        """
        attention window(Q[m,e], K[n,e]; W: int = 4) -> y:
            index o < W
            S[m,o] = sum[e](Q[m,e] * K[m - o,e])
            y[m] = sum[o](S[m,o])
        """,
        """
        S[m,o] = sum[e](Q[m,e] * K[m - o,e]) where 0 <= m - o and m - o < N
        y[m] = sum[o](S[m,o] where 0 <= m - o and m - o < N)
        """,
    )


def test_a_virtual_key_is_one_condition() -> None:
    expands(
        """
        attention sink(S0[m,n], V[n,f], z[]) -> O:
            index t <= N
            S[m,n] = S0 where n <= m
            S[m,N] = z
            A[m,t] = softmax[t](S[m,t])
            O[m,f] = A[m,n] * V
        """,
        """
        S[m,n] = S0[m,n] where n <= m
        S[m,N] = z
        A_max[m] = max[t](S[m,t] where t < N and t <= m or t == N)
        A_exp[m,t] = exp(shift(S[m,t], A_max[m])) where t < N and t <= m or t == N
        A_sum[m] = sum[t](A_exp[m,t] where t < N and t <= m or t == N)
        A[m,t] = A_exp[m,t] / A_sum[m] where t < N and t <= m or t == N
        O[m,f] = sum[n](A[m,n] * V[n,f] where n <= m)
        """,
    )


def test_parts_that_fill_their_axis_are_no_condition() -> None:
    expands(
        """
        attention filled(a[p], b[p]) -> y:
            index t < 2 * P
            T[2*p] = a
            T[2*p + 1] = b
            y = sum[t](T[t])
        """,
        """
        T[2 * p] = a[p]
        T[2 * p + 1] = b[p]
        y = sum[t](T[t])
        """,
    )


def test_the_gap_between_parts_is_absent() -> None:
    expands(
        """
        attention gap(a[p]) -> y:
            index t < 2 * P + 1
            T[2*p] = a
            T[2*P] = 1
            y = sum[t](T[t])
        """,
        """
        T[2 * p] = a[p]
        T[2 * P] = 1
        y = sum[t](T[t] where t < 2 * P - 1 and t % 2 == 0 or t == 2 * P)
        """,
    )


def test_mean_divides_by_what_exists() -> None:
    expands(
        """
        attention means(x[m,n]) -> y, z:
            y[m] = mean[n](x where n <= m)
            z[n] = mean[m](x)
        """,
        """
        y_sum[m] = sum[n](x[m,n] where n <= m)
        y_count[m] = sum[n](1 where n <= m)
        y[m] = y_sum[m] / y_count[m] where 0 < y_count[m]
        z_sum[n] = sum[m](x[m,n])
        z[n] = z_sum[n] / M where 0 < M
        """,
    )


def test_the_mean_along_an_axis_in_scope_exists() -> None:
    expands(
        """
        def norm[d](x) = x * rsqrt(mean[d](x * x))

        attention normed(x[n,d]) -> y:
            y[n,d] = norm[d](x)
        """,
        """
        y_sum[n] = sum[d](x[n,d] * x[n,d])
        y[n,d] = x[n,d] * rsqrt(y_sum[n] / D)
        """,
    )


def test_variance_is_the_mean_of_squared_distances() -> None:
    expands(
        """
        attention spread(x[m,n]) -> y:
            require N >= 1
            y[m] = var[n](x)
        """,
        """
        require N >= 1
        y_sum[m] = sum[n](x[m,n])
        y_mean[m] = y_sum[m] / N where 0 < N
        y_sum_2[m] = sum[n]((x[m,n] - y_mean[m]) * (x[m,n] - y_mean[m]))
        y[m] = y_sum_2[m] / N where 0 < N
        """,
    )


def test_choice_is_one_condition_made_of_its_branches() -> None:
    expands(
        """
        attention chosen(x[n], g[n]: bool, i[n]: int) -> y:
            y[n] = x[i[n]] if g else 0.5
        """,
        """
        y[n] = x[i[n]] if g[n] else 0.5 where g[n] and 0 <= i[n] and i[n] < N or not g[n]
        """,
    )


def test_default_takes_the_fallback_where_the_value_is_absent() -> None:
    expands(
        """
        attention filled(x[n], i[n]: int) -> y, z:
            y[n] = default(x[i[n]], 0.5)
            z[n] = 1.0 if exists(x[i[n]]) else 2.0
        """,
        """
        y[n] = x[i[n]] if 0 <= i[n] and i[n] < N else 0.5
        z[n] = 1.0 if 0 <= i[n] and i[n] < N else 2.0
        """,
    )


def test_a_comparison_with_something_absent_is_false() -> None:
    expands(
        """
        attention compared(x[n], i[n]: int) -> y:
            y[n] = 1.0 if not x[i[n]] > 0.5 else 2.0
        """,
        """
        y[n] = 1.0 if not (0 <= i[n] and i[n] < N and x[i[n]] > 0.5) else 2.0
        """,
    )


def test_the_existence_of_a_recurrence_is_a_recurrence() -> None:
    expands(
        """
        attention gated(x[i,d], g[i], j[i]: int) -> y:
            T[0,d] = 0
            T[i+1,d] = g[j[i]] * T[i,d] + x[i,d]
            y[i,d] = T[i+1,d]
        """,
        """
        T_exists[0] = true
        T_exists[i + 1] = 0 <= j[i] and j[i] < I and T_exists[i]
        T[0,d] = 0 where T_exists[0]
        T[i + 1,d] = g[j[i]] * T[i,d] + x[i,d] where T_exists[i + 1]
        y[i,d] = T[i + 1,d] where T_exists[i + 1]
        """,
    )


def test_a_recurrence_that_always_exists_has_no_conditions() -> None:
    text = """
        attention linear(Q[i,e], K[i,e], V[i,f]) -> O:
            T[0,e,f] = 0
            T[i+1,e,f] = T[i,e,f] + K * V
            O[i,f] = Q * T[i+1,e,f]
        """
    assert all(part.when == () for tensor in explicit(dedent(text)).tensors for part in tensor.parts)


def test_a_slot_exists_where_a_point_fills_it() -> None:
    expands(
        """
        attention ranked(x[n]; k: int = 4) -> i:
            index t < k
            i[t] = argtopk[n -> t](x[n] where x[n] > 0.5)
        """,
        """
        i_count = sum[n]((1 where x[n] > 0.5) where x[n] == x[n])
        i[t] = argtopk[n -> t](x[n] where x[n] > 0.5) where t < i_count
        """,
    )


def test_carried_state_is_zero_where_it_is_absent() -> None:
    text = """
        attention carried(x[n], h[] = 0) -> y:
            y[n] = x + h
            carry h = sum[n](x)
        """
    cascade = explicit(dedent(text))
    assert show_cascade(cascade).rstrip().endswith("carry h = h_sum")


FORMS = {
    "softmax inside a product": "y[m] = sum[n](softmax[n](x) * x)",
    "logsumexp of a part of a row": "y[m] = logsumexp[n](x where n < m)",
    "softmax of a part of a row": "y[m] = sum[n](softmax[n](x where n <= m and keep) * x)",
    "variance under a condition": "y[m] = var[n](x where n != m)",
    "a mean that may be absent": "y[m] = default(mean[n](x where n < m), -1.0)",
    "a maximum of integers": "y[m] = default(max[n](n where keep), -7)",
    "a rank": "y[m] = kth[n; 1](x where n <= m)",
    "a selection": "y[m] = sum[n](x where topk[n; 2](x where keep))",
    "a position": "y[m] = default(argmin[n](x where keep), -2)",
    "any and all": "y[m] = any[n](x > 0.5 where n < m) or all[n](keep where n > m)",
    "a lazy branch": "y[m] = 1.0 if any[n](x > 0.5) else default(x[m, m - 1], 0.25)",
    "existence": "y[m] = 1.0 if exists(x[i[m], 0]) and not exists(x[m, m - 1]) else 2.0",
    "a gather with free slots": "y[m] = sum[n](x[i[m], n] * x)",
    "an absent factor in a fold": "y[m] = sum[n](x[m, n - i[m]] * x[m, n])",
    "a choice of what may be absent": "y[m] = max[n](x[m, n - 1] if keep else x[i[m], n])",
    "a division by an integer that may be 0": "y[m] = sum[n](n // i[m])",
    "0 / 0": "y[m] = sum[n](x where n < m) / sum[n](x * 0.0)",
    "a scatter": "y[m] = sum[r](x[r,0] where i[r] == m)",
}


def form(name: str) -> str:
    return f"attention form(x[m,n], i[m]: int, keep[m,n]: bool) -> y:\n    index r < M\n    {FORMS[name]}\n"


PROGRAMS = {
    "a row that does not exist": """
        attention rows(x[m,n], live[m]: bool) -> y, z:
            y[m] = sum[n]((x where n <= m) where live) + 1.0
            z[m] = default(y, -3.0)
        """,
    "a virtual key": """
        attention sink(x[m,n], z[]) -> y, l:
            index t <= N
            S[m,n] = x where n <= m
            S[m,N] = z
            A[m,t] = softmax[t](S[m,t])
            y[m] = sum[n](A[m,n] * x[m,n])
            l[m] = logsumexp[t](S[m,t])
        """,
    "a sorted row with free slots": """
        attention ranked(x[m,n], keep[m,n]: bool) -> y, z, u:
            index t < 3
            y[m,t] = sort[n -> t](x where keep)
            z[m,t] = argtopk[n -> t](x where keep)
            u[m,t] = default(x[m, z[m,t]], -5.0)
        """,
    "a state that can be lost": """
        attention gated(x[i,d], g[i]: bool, j[i]: int) -> y, c:
            T[0,d] = 0.5
            T[i+1,d] = 0.5 * T[i,d] + (x[j[i],d] where g[i])
            y[i,d] = default(T[i+1,d], -3.0)
            c[d] = sum[i](T[i+1,d])
        """,
    "a triangular solve": """
        attention solved(A[i,j], F[i]) -> y:
            require I == J
            y[i] = F[i] - sum[r](A[i,r] * y[r] where r < i)
            index r < I
        """,
}


def draw(cascade: Cascade, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """Random inputs of random extents, 0 among them; integers are positions, -1 and too large ones too."""
    indices = sorted({index for item in cascade.inputs for index in item.indices})
    sizes = {index: int(torch.randint(0, 5, (1,), generator=generator)) for index in indices}
    if "j" in sizes:
        sizes["j"] = sizes["i"]
    inputs = {}
    for item in cascade.inputs:
        shape = [sizes[index] for index in item.indices]
        real = torch.randn(shape, generator=generator, dtype=torch.float64)
        whole = torch.randint(-1, 5, shape, generator=generator)
        inputs[item.name] = real if item.type == "real" else whole if item.type == "int" else real > 0
    return inputs, sizes


@pytest.mark.parametrize("text", [*map(form, FORMS), *PROGRAMS.values()], ids=[*FORMS, *PROGRAMS])
def test_meaning_is_kept(text: str) -> None:
    before = stated(dedent(text))
    after = expand(before)
    verify(after, (resolved, ordered, is_explicit))
    generator = torch.Generator().manual_seed(0)
    for _ in range(25):
        inputs, sizes = draw(before, generator)
        expected, found = run(before, inputs, sizes=sizes), run(after, inputs, sizes=sizes)
        for name in before.outputs:
            torch.testing.assert_close(
                found.outputs[name], expected.outputs[name], rtol=1e-10, atol=1e-12, equal_nan=True
            )


def test_expansion_keeps_what_is_explicit_already() -> None:
    text = "attention plain(x[m,n]) -> y:\n    y[m] = sum[n](x)\n"
    assert explicit(text) == stated(text)
