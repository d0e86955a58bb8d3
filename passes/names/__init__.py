"""Thin resolver: enough for the examples and generated programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from attnc.diagnostics import error
from attnc.ir import syntax as s
from attnc.ir.cascade import *
from attnc.ir.cascade import Range as CRange
from attnc.ir.indices import at, free_indices
from attnc.ir.operators import FUNCTIONS, INFIX, ORDERINGS, REDUCTIONS
from attnc.ir.types import type_of


@dataclass
class Env:
    functions: dict
    inputs: dict = field(default_factory=dict)
    ranges: dict = field(default_factory=dict)
    constants: dict = field(default_factory=dict)
    tensors: dict = field(default_factory=dict)  # name -> list[Part], first place subs
    types: dict = field(default_factory=dict)
    count: int = 0

    def extent(self, index):
        r = self.ranges[index]
        if r.lo == Const(0):
            return r.hi
        return Map("sub", (r.hi, r.lo))


class Local:
    """names of a macro's arguments and indices"""

    def __init__(self, values, indices, parent=None):
        self.values, self.indices = values, indices


def resolve(file, name=None, options={}, use=None):
    functions = {}
    for u in file.uses:
        mod = use(u.path, u.span)
        for d in mod.definitions:
            if isinstance(d, s.Function) and (not u.names or d.name in u.names):
                functions[d.name] = d
    for d in file.definitions:
        if isinstance(d, s.Function):
            functions[d.name] = d
    att = [d for d in file.definitions if isinstance(d, s.Attention) and name in (None, d.name)][-1]
    env = Env(functions)
    values = {}
    for p in att.params:
        for i in p.indices or ():
            env.ranges.setdefault(i, CRange(i, Const(0), Size(i), span=p.span))
    for o in att.options:
        if o.name in options:
            v = options[o.name]
        else:
            v = fold(expr(o.default, env, Local({}, {}), set()))
        if o.type == "real":
            v = float(v)
        values[o.name] = v
        env.constants[o.name] = Const(v)
    for p in att.params:
        env.inputs[p.name] = Input(p.name, tuple(p.indices or ()), p.type or "real", None, span=p.span)
        env.types[p.name] = p.type or "real"
    for st in att.body:
        if isinstance(st, s.Indices):
            for r in st.ranges:
                declare(r, env)
    for p in att.params:
        if p.default is not None:
            env.inputs[p.name] = replace(
                env.inputs[p.name], default=expr(p.default, env, Local({}, {}), set(p.indices or ()))
            )
    requires, limits, carries = [], [], []
    for st in att.body:
        match st:
            case s.Define():
                define(st, env)
            case s.Require():
                require(st, env, requires, limits)
            case s.Carry(nm, v):
                carries.append((nm, v, st.span))
            case _:
                pass
    tensors, steps = [], []
    for nm, parts in env.tensors.items():
        tensors.append(Tensor(nm, axes_of(parts, env), env.types[nm], tuple(parts), span=parts[0].span))
        steps.append(Step((nm,)))
    return Cascade(
        att.name,
        tuple(env.inputs.values()),
        tuple(values.items()),
        tuple(env.ranges.values()),
        tuple(tensors),
        tuple(steps),
        att.outputs,
        tuple(requires),
        tuple(limits),
        (),
        att.doc,
    )


def fold(e):
    match e:
        case Const(v):
            return v
        case Map(op, args):
            a = [fold(x) for x in args]
            return {
                "add": lambda a, b: a + b,
                "sub": lambda a, b: a - b,
                "mul": lambda a, b: a * b,
                "div": lambda a, b: a / b,
                "neg": lambda a: -a,
                "pow": lambda a, b: a**b,
            }[op](*a)


def declare(r, env):
    ops, args = r.test.ops, r.test.args
    loc = Local({}, {})

    def ex(x):
        return expr(x, env, loc, set())

    if len(args) == 3:
        lo, nm, hi = args
        n = nm.name
        lo = ex(lo)
        lo = lo if ops[0] == "<=" else Map("add", (lo, Const(1)))
        hi = ex(hi)
        hi = hi if ops[1] == "<" else Map("add", (hi, Const(1)))
    else:
        nm, hi = args
        n = nm.name
        lo = Const(0)
        hi = ex(hi)
        hi = hi if ops[0] == "<" else Map("add", (hi, Const(1)))
    env.ranges[n] = CRange(n, lo, hi, span=r.span)


def require(st, env, requires, limits):
    match st.test:
        case s.Compare(("<=",), (s.At(s.Name("passes"), (s.Name(i),)), s.Number(k))):
            limits.append(PassLimit(i, k, span=st.span))
        case _:
            requires.append(Require(expr(st.test, env, Local({}, {}), set()), span=st.span))


def define(st, env):
    place = st.places[0]
    loc = Local({}, {})
    if place.subs is None or place.subs == ():
        v = expr(st.value, env, loc, set())
        from attnc.ir.walk import walk

        if place.subs is None and not any(isinstance(x, (Read, Reduce)) for x in walk(v)):
            env.constants[place.name] = v
            return
        left, inds = (), ()
    else:
        left = tuple(expr(x, env, loc, set(env.ranges)) for x in place.subs)
        inds = tuple(dict.fromkeys(i for l in left for i in sorted(free_indices(l))))
    v = einsum(st.value, env, loc, set(inds), inds)
    t = type_of(v, env.types.__getitem__)
    if place.name not in env.tensors:
        env.tensors[place.name] = []
        env.types[place.name] = t
    else:
        order = ["bool", "int", "real"]
        env.types[place.name] = order[max(order.index(t), order.index(env.types[place.name]))]
    env.tensors[place.name].append(Part(place.name, left, inds, v, span=st.span))


def axes_of(parts, env):
    out = []
    for k in range(len(parts[0].left)):
        los, his = [], []
        for p in parts:
            l = p.left[k]
            from attnc.ir.indices import free_indices as fi

            lo = at(l, {i: env.ranges[i].lo for i in fi(l)})
            hi = at(l, {i: Map("sub", (env.ranges[i].hi, Const(1))) for i in fi(l)})
            if isinstance(l, Coord):
                lo, hi = env.ranges[l.index].lo, env.ranges[l.index].hi
            else:
                hi = Map("add", (hi, Const(1)))
            los.append(lo)
            his.append(hi)
        out.append((los[0], his[-1]))
    return tuple(out)


def einsum(v, env, loc, scope, left):
    if isinstance(v, s.Where):
        return Where(einsum(v.x, env, loc, scope, left), expr(v.test, env, loc, scope), span=v.span)
    new = set(env.ranges) if is_product(v) else scope
    e = expr(v, env, loc, new)
    missing = tuple(i for i in env.ranges if i in free_indices(e) and i not in left)
    if missing:
        e = Reduce("sum", missing, e, span=v.span)
    return e


def is_product(v):
    match v:
        case s.Binary("*" | "/"):
            return True
        case s.Unary("-", x):
            return is_product(x)
        case _:
            return False


def expr(v, env, loc, scope):
    def ex(x):
        return expr(x, env, loc, scope)

    sp = v.span
    match v:
        case s.Number(n):
            return Const(n, span=sp)
        case s.Constant(n):
            return Const({"true": True, "false": False, "inf": math.inf, "pi": math.pi}[n], span=sp)
        case s.Name(n):
            return bare(n, env, loc, scope, sp)
        case s.Unary("-", x):
            return Map("neg", (ex(x),), span=sp)
        case s.Unary("+", x):
            return ex(x)
        case s.Unary("not", x):
            return Map("not", (ex(x),), span=sp)
        case s.Binary(op, a, b):
            return Map(INFIX[op].name if op != "-" else "sub", (ex(a), ex(b)), span=sp)
        case s.Logic(op, args):
            return Map(op, tuple(ex(a) for a in args), span=sp)
        case s.Compare(ops, args):
            a = [ex(x) for x in args]
            c = [Map(INFIX[o].name, (x, y), span=sp) for o, x, y in zip(ops, a, a[1:])]
            return c[0] if len(c) == 1 else Map("and", tuple(c), span=sp)
        case s.Choose(t, c, o):
            return Choose(ex(c), ex(t), ex(o), span=sp)
        case s.Where(x, t):
            return Where(ex(x), ex(t), span=sp)
        case s.At(s.Name(n), subs) if n in loc.values or any(isinstance(q, s.Reindex) for q in subs):
            x = ex(v.x)
            return at(x, {loc.indices.get(q.name, q.name): ex(q.value) for q in subs})
        case s.At(s.Name(n), subs):
            return read(n, tuple(expr(q, env, loc, set(env.ranges)) for q in subs), env, sp)
        case s.Apply(f, args, extras):
            return apply(f, args, extras, env, loc, scope, sp)
    raise AssertionError(v)


def bare(n, env, loc, scope, sp):
    if n in loc.values:
        return loc.values[n]
    if n in loc.indices:
        return Coord(loc.indices[n], span=sp)
    if n in env.constants:
        return env.constants[n]
    if n in env.tensors:
        p = env.tensors[n][0]
        return Read(n, p.left, (), None, span=sp)
    if n in env.inputs:
        return Read(n, tuple(Coord(i, span=sp) for i in env.inputs[n].indices), span=sp)
    if n in env.ranges:
        return Coord(n, span=sp)
    low = n.lower()
    for k in loc.indices:
        if k.upper() == n:
            return env.extent(loc.indices[k])
    if low in env.ranges:
        return env.extent(low)
    raise error("A101", f"unknown name `{n}`", sp, "not defined")


def read(n, subs, env, sp):
    if n in env.inputs:
        ins = env.inputs[n].indices
        tested = tuple(
            k
            for k, (q, i) in enumerate(zip(subs, ins))
            if not (isinstance(q, Coord) and inside(q, i, env)) and not gqa(q)
        )
        return Read(n, subs, tested, span=sp)
    parts = env.tensors[n]
    for k, p in enumerate(parts):
        if len(parts) > 1 and p.left == subs:
            return Read(n, subs, (), k, span=sp)
    ax = axes_of(parts, env)
    tested = tuple(k for k, q in enumerate(subs) if not isinstance(q, Coord))
    return Read(n, subs, tested, span=sp)


def gqa(q):
    return isinstance(q, Map) and q.op == "floordiv" and isinstance(q.args[1], Map)


def inside(q, i, env):
    return q.index == i or (env.ranges[q.index].lo, env.ranges[q.index].hi) == (env.ranges[i].lo, env.ranges[i].hi)


def apply(f, args, extras, env, loc, scope, sp):
    head, inds = (f.x.name, f.subs) if isinstance(f, s.At) else (f.name, ())
    names = tuple(loc.indices.get(i.name, i.name) for i in inds)
    if head in ("sum", "prod", "max", "min", "any", "all", "mean", "var", "argmax", "argmin", "logsumexp") and names:
        return Reduce(head, names, expr(args[0], env, loc, scope | set(names)), span=sp)
    if head == "softmax":
        return Softmax(names, expr(args[0], env, loc, scope | set(names)), span=sp)
    if head == "exists":
        return Exists(expr(args[0], env, loc, scope), span=sp)
    if head == "default":
        return Default(*(expr(a, env, loc, scope) for a in args), span=sp)
    if head == "extent":
        return env.extent(loc.indices.get(args[0].name, args[0].name))
    if head in env.functions:
        fn = env.functions[head]
        vals = {p.name: expr(a, env, loc, scope | set(names)) for p, a in zip(fn.params, args)}
        given = {k.name: expr(k.value, env, loc, scope) for k in extras}
        for o in fn.options:
            vals[o.name] = given[o.name] if o.name in given else expr(o.default, env, loc, scope)
        inner = Local(vals, dict(zip(fn.indices, names)))
        for st in fn.body:
            if isinstance(st, s.Define):
                inner.values[st.places[0].name] = expr(st.value, env, inner, scope)
        return expr(fn.value, env, inner, scope)
    return Map(FUNCTIONS[head].name, tuple(expr(a, env, loc, scope) for a in args), span=sp)
