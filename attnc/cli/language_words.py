"""Every word of the language: what it means, in one line, and an example.

Which words there are is said by the grammar and by the tables of operators; a test holds that each has a line here.
Examples of expressions stand where `x`, `p`, `i` and `seed` are inputs, `n` is their index and `t` one of two places.
"""

from __future__ import annotations

Lines = dict[str, tuple[str, str]]

# What a file is made of: by the word that begins it.
DEFINITIONS: Lines = {
    "use": ("takes definitions of the library, or of a file beside this one", "use std.masks: causal, window"),
    "attention": (
        "inputs, options behind `;`, outputs behind `->`, and a body of statements",
        "attention scaled(X[b,n]; c: real = 2.0) -> Y:\n    Y[b,n] = c * X",
    ),
    "def": (
        "a macro over expressions; its brackets name indices of the caller",
        "def rms[d](x; eps: real = 1e-6) = x * rsqrt(mean[d](x * x) + eps)",
    ),
    "mask": ("a def that is true or false", "mask near(m, n; W: int = 64) = 0 <= m - n < W"),
    "score": ("a def that is a number", "score softcap(s; cap: real = 30.0) = cap * tanh(s / cap)"),
    "return": (
        "the value of a def whose names of its own stand in a block",
        "def gap(m, n):\n    d = m - n\n    return max(d, -d)",
    ),
}

# Types of inputs and options; what has none is real.
TYPES: Lines = {
    "int": ("whole numbers of 64 bits", "attention f(seg[n]: int; W: int = 64) -> Y:\n    Y[n] = seg // W"),
    "real": (
        "numbers; in kernels of the type that the call brings",
        "attention f(X[n]; c: real = 1) -> Y:\n    Y[n] = c * X",
    ),
    "bool": ("`true` or `false`", "attention f(X[n], p[n]: bool) -> Y:\n    Y[n] = X if p else 0"),
}

# Statements, by their rule of the grammar, in an attention with inputs Q, K, V, H0 and the output O.
STATEMENTS: Lines = {
    "define": ("a tensor, or several of a call; without brackets a size", "S[b,h,m,n] = Q * K / sqrt(E)"),
    "indices_line": (
        "declares indices with their ranges, or says where the axis of an input begins",
        "index N - M <= m < N, j < 4",
    ),
    "require": ("what sizes must be, tested at the call; or how many passes may be derived", "require N % 4 == 0"),
    "carry": ("what an input is in the next call of `step`", "carry H0 = 0.5 * H0"),
    "check": (
        "what must hold: `equals` another attention on random inputs, or `gives` numbers",
        "check same: equals softmax_attention(Q, K, V)",
    ),
}
CLAUSES: Lines = {
    "with": (
        "sets inputs and options of a check",
        "check a: with Q = [[0]], K = [[1],[2]], V = [[2],[4]] gives O = [[3]]",
    ),
    "equals": ("the same outputs as this call", "check b: equals softmax_attention(Q, K, V)"),
    "gives": (
        "these outputs; leading axes that are not written have length 1",
        "check c: with Q = [[0]], K = [[1]], V = [[2]] gives O = [[2]]",
    ),
    "within": ("how far they may be off", "check d: with Q = [[0]], K = [[1]], V = [[2]] gives O = [[2]] within 1e-9"),
}

# Signs and words between operands.
OPERATORS: Lines = {
    "where": (
        "the left side, existing only where the condition holds; a reduction folds what exists",
        "sum[n](x where p)",
    ),
    "if else": ("the first where the condition holds, else the last", "x if p else -x"),
    "or": ("true if one is", "x > 2 or p"),
    "and": ("true if all are", "x > 2 and p"),
    "not": ("true if it is false", "not p"),
    "==": ("equal", "n == 1"),
    "!=": ("not equal", "n != 1"),
    "<": ("less; comparisons chain", "0 <= n < 2"),
    "<=": ("less or equal", "x <= 2"),
    ">": ("greater", "x > 2"),
    ">=": ("greater or equal", "x >= 2"),
    "+": ("a sum", "x + n"),
    "-": ("a difference: no product, so nothing is summed", "x - 1"),
    "*": ("a product: indices that the left side lacks are summed", "x * x"),
    "/": ("a quotient, always real; 0 / 0 is 0", "x / 2"),
    "//": ("a quotient rounded down", "-7 // 2"),
    "%": ("the rest of it, with the sign of the divisor", "-7 % 4"),
    "-x": ("the negative", "-x"),
    "+x": ("the same", "+x"),
    "**": ("a power; binds to the right, and closer than a sign", "-x ** 2"),
    "[ ]": (
        "an element, or with `n = ..` the expression at another place; outside of its axis it does not exist",
        "x[i]",
    ),
    "( )": ("arguments, options behind `;`", "max(x, 2)"),
}

REDUCTIONS: Lines = {
    "sum": ("the sum; of nothing 0", "sum[n](x)"),
    "prod": ("the product; of nothing 1", "prod[n](x)"),
    "max": ("the largest; of nothing -inf", "max[n](x)"),
    "min": ("the smallest; of nothing inf", "min[n](x)"),
    "any": ("whether a condition holds somewhere", "any[n](x > 2)"),
    "all": ("whether it holds everywhere", "all[n](x > 2)"),
    "argmax": ("where the largest is, the first of several", "argmax[n](x)"),
    "argmin": ("where the smallest is", "argmin[n](x)"),
    "mean": ("the sum, divided by how many exist", "mean[n](x where p)"),
    "var": ("the mean squared distance from the mean", "var[n](x)"),
    "logsumexp": ("log(sum(exp(x))); of nothing -inf", "logsumexp[n](x)"),
    "softmax": ("exp(x) / sum(exp(x)); keeps its index", "softmax[n](x)"),
    "kth": ("the element of rank k in ascending order, counted from 0", "kth[n; 1](x)"),
}

ORDERINGS: Lines = {
    "topk": ("whether an element is among the k largest", "topk[n; 2](x)"),
    "argtopk": ("where the largest are, in descending order, as many as `t` has places", "argtopk[n -> t](x)"),
    "sort": ("the elements in ascending order, along `t`", "sort[n -> t](x)"),
    "argsort": ("where they are", "argsort[n -> t](x)"),
}

FUNCTIONS: Lines = {
    "exp": ("e to the power x", "exp(x)"),
    "exp2": ("2 to the power x", "exp2(x)"),
    "log": ("the natural logarithm", "log(x)"),
    "log2": ("the logarithm to base 2", "log2(x)"),
    "log1p": ("log(1 + x)", "log1p(x)"),
    "expm1": ("exp(x) - 1", "expm1(x)"),
    "sqrt": ("the square root", "sqrt(x)"),
    "rsqrt": ("1 / sqrt(x)", "rsqrt(x)"),
    "abs": ("the magnitude", "abs(x - 2)"),
    "sign": ("-1, 0 or 1", "sign(x - 2)"),
    "floor": ("the next integer below", "floor(x / 2)"),
    "ceil": ("the next integer above", "ceil(x / 2)"),
    "round": ("the nearest integer, the even one of two", "round(x / 2)"),
    "tanh": ("the hyperbolic tangent", "tanh(x)"),
    "sigmoid": ("1 / (1 + exp(-x))", "sigmoid(x)"),
    "softplus": ("log(1 + exp(x))", "softplus(x)"),
    "relu": ("the larger of x and 0", "relu(x - 2)"),
    "silu": ("x * sigmoid(x)", "silu(x)"),
    "gelu": ("x times the share of a normal distribution below x", "gelu(x)"),
    "erf": ("the error function", "erf(x)"),
    "sin": ("the sine", "sin(x)"),
    "cos": ("the cosine", "cos(x)"),
    "min": ("the smaller of its arguments", "min(x, 2)"),
    "max": ("the larger of its arguments", "max(x, 2)"),
    "clamp": ("x, kept between two bounds", "clamp(x, 1.5, 2.5)"),
    "xlogx": ("x * log(x), and 0 at 0", "xlogx(x)"),
    "stop": ("x, through which no gradient flows", "stop(x)"),
}

SPECIAL: Lines = {
    "exists": ("whether a value exists", "exists(x[n - 1])"),
    "default": ("the first where it exists, else the second", "default(x[n - 1], 0)"),
    "extent": ("how long the axis of an index is, as its capital says", "extent(n)"),
    "grad": ("the derivative of the sum of the first by an element of a tensor", "grad(x ** 2, x)"),
    "uniform": ("a number in [0, 1) for each position, from the seed and the position alone", "uniform[n](seed)"),
}

CONSTANTS: Lines = {
    "true": ("a boolean", "true"),
    "false": ("a boolean", "false"),
    "inf": ("larger than all numbers", "-inf"),
    "pi": ("the ratio of a circle's circumference to its diameter", "pi"),
}
