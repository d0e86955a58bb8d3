"""Code selection by familiarity, and learning in one trial."""

import torch

from tests.stdlib.cases import Case, Tensors, integers, reals
from tests.stdlib.formulas.flash_attention import philox

Tensor = torch.Tensor
MAC = {"b": 5, "i": 9, "j": 7, "l": 4, "q": 6, "k": 8}
DRAWN = {
    **{f"X{name}": reals("b", axis) for name, axis in zip("UHD", "ijl", strict=True)},
    **{f"W{name}": reals(axis, "q", "k") for name, axis in zip("UHD", "ijl", strict=True)},
    **{f"pi{name}": reals(low=low, high=low + 1) for name, low in zip("UHD", (3.0, 2.0, 1.5), strict=True)},
    "seed": integers(high=1 << 20),
}


def sparsey(
    XU: Tensor,
    XH: Tensor,
    XD: Tensor,
    WU: Tensor,
    WH: Tensor,
    WD: Tensor,
    piU: Tensor,
    piH: Tensor,
    piD: Tensor,
    seed: Tensor | int = 0,
    lamU: float = 1.0,
    lamH: float = 1.0,
    lamD: float = 1.0,
    wmax: float = 1.0,
    lowest: float = 0.0,
    gamma: float = 2.0,
    chi: float = 100.0,
    s1: float = 28.0,
    s2: float = 10.0,
    s3: float = 0.5,
    s4: float = 1.0,
    noise: bool = True,
) -> Tensors:
    V = torch.ones(())
    for X, W, count, power in ((XU, WU, piU, lamU), (XH, WH, piH, lamH), (XD, WD, piD, lamD)):
        V = V * (torch.tensordot(X, W, 1) / (count * wmax)).clamp(max=1) ** power
    G = V.amax(-1).mean(-1)
    eta = 1 + ((G - lowest) / (1 - lowest)).clamp(min=0) ** gamma * chi * V.shape[-1]
    psi = (eta[:, None, None] - 1) / (1 + s1 * torch.exp(-s2 * (V - s3))) ** s4 + 1
    rho = psi / psi.sum(-1, keepdim=True)
    code = V.argmax(-1)
    if noise:
        at = list(torch.ones(rho.shape[:2]).nonzero().T.reshape(2, *rho.shape[:2]).numpy().astype("uint64"))
        drawn = torch.from_numpy((philox(int(seed), [*at, 0 * at[0], 0 * at[0]]) >> 8).astype("float64")) / 2**24
        code = torch.searchsorted(rho.cumsum(-1), drawn[..., None], right=True)[..., 0].clamp(max=rho.shape[-1] - 1)
    return {"code": code, "rho": rho, "G": G}


def sparsey_learn(W: Tensor, X: Tensor, code: Tensor, wmax: float = 1.0) -> Tensor:
    new = W.clone()
    for inputs, winners in zip(X, code, strict=True):
        for group, unit in enumerate(winners.tolist()):
            new[inputs > 0, group, unit] = wmax
    return new


CASES = (
    Case("sparsey", MAC, draw=DRAWN, lengths=("b",), time=()),
    Case("sparsey", MAC, {"noise": False, "lamD": 0.0, "chi": 5.0}, DRAWN, lengths=("b",), time=(), name="recall"),
    Case("sparsey_learn", MAC, draw={"code": integers("b", "q", high="k")}, lengths=("b",), time=()),
)
