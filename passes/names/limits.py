"""How large a resolved expression may become: calls of defs and names of sizes can multiply what is written."""

from __future__ import annotations

from attnc.diagnostics import error
from attnc.ir.cascade import Expr
from attnc.ir.node import Node
from attnc.ir.walk import children
from attnc.source import Span

SIZE = 20_000
DEPTH = 200


class Weights:
    """The size and depth of expressions as trees, each piece weighed once however often it is shared."""

    def __init__(self) -> None:
        """Nothing weighed yet."""
        self._known: dict[int, tuple[Node, int, int]] = {}  # keeps each node, so that no other gets its number

    def checked(self, expr: Expr, span: Span) -> Expr:
        """The expression itself; error A117 where it is too large."""
        _, size, depth = self._of(expr)
        if size > SIZE or depth > DEPTH:
            what = f"{SIZE} operations" if size > SIZE else f"{DEPTH} levels"
            raise error(
                "A117",
                f"with all its calls in place this is larger than {what}",
                span,
                "grows here",
                helps=(
                    "give a part of it a statement of its own: a tensor is computed once, however often it is read",
                ),
            )
        return expr

    def _of(self, node: Node) -> tuple[Node, int, int]:
        if id(node) not in self._known:
            below = [self._of(child) for child in children(node)]
            size = 1 + sum(item[1] for item in below)
            self._known[id(node)] = (node, size, 1 + max((item[2] for item in below), default=0))
        return self._known[id(node)]
