"""Building a kernel under bad luck: damaged entries, full and read-only disks, rivals, and a kill at any point."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import attnc
from attnc.runtime import build, cache, place

SPEC = """attention tail(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:
    S[b,h,m,n] = Q * K where n < 5
    O[b,h,m,f] = softmax[n](S) * V
"""
SUFFIXES = ("signature", "program", "kernel", "so")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test alone, and a process that remembers no kernel."""
    monkeypatch.setenv("ATTNC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_BUILT", {})
    monkeypatch.setattr(place, "_PRIVATE", [])
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with every entry of one call."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("filled")
        patch.setenv("ATTNC_CACHE", str(folder))
        patch.setattr(build, "_BUILT", {})
        outcome()
    return folder


def inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(1, 2, 8, 4, generator=generator) for _ in range(3))


def outcome() -> torch.Tensor:
    build._BUILT.clear()
    found: torch.Tensor = attnc.compile(SPEC, strict=True)(*inputs())
    return found


def wanted() -> torch.Tensor:
    q, k, v = inputs()
    return (q @ k[:, :, :5].mT).softmax(-1) @ v[:, :, :5]


def right(value: torch.Tensor) -> bool:
    return torch.allclose(value, wanted(), atol=1e-5)


# ---- damage ----------------------------------------------------------------------------------


def empty(file: Path) -> None:
    file.write_bytes(b"")


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def garbage(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 50)


def become_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def vanish(file: Path) -> None:
    shutil.rmtree(file.parent)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("damage", [empty, halve, flip, garbage, become_a_folder, vanish], ids=lambda f: f.__name__)
def test_a_damaged_entry_is_made_again(damage: Callable[[Path], None], suffix: str, filled: Path, home: Path) -> None:
    shutil.copytree(filled, home)
    (file,) = home.rglob(f"*.{suffix}")
    damage(file)
    assert right(outcome())
    if damage is not become_a_folder:
        assert cache.get(file.stem, suffix) == (filled / file.relative_to(home)).read_bytes()[:-32] or suffix == "so"
    assert right(outcome())


def objects(home: Path) -> dict[Path, int]:
    """The compiled functions that kernels have in common, and when they were written."""
    return {file: file.stat().st_mtime_ns for file in home.rglob("*.o")}


def test_what_kernels_have_in_common_is_compiled_once(home: Path) -> None:
    q, k, v = (torch.randn(1, 2, 100, 32) for _ in range(3))
    attnc.compile(SPEC)(q, k, v)
    first = objects(home)
    assert len(first) >= 3
    attnc.compile(SPEC.replace("n < 5", "n < 50"))(q, k, v)
    assert objects(home) == first


@pytest.mark.parametrize("damage", [empty, halve, flip, garbage, vanish], ids=lambda f: f.__name__)
def test_a_damaged_function_is_compiled_again(damage: Callable[[Path], None], filled: Path, home: Path) -> None:
    shutil.copytree(filled, home)
    (binary,) = home.rglob("*.so")
    binary.unlink()
    for file in objects(home):
        damage(file)
    assert right(outcome())
    assert all(cache.get(file.stem, "o") for file in objects(filled))


@pytest.mark.parametrize("suffix", ["kernel", "so"])
def test_an_entry_in_the_place_of_another_counts_as_missing(suffix: str, filled: Path, home: Path) -> None:
    other = SPEC.replace("n < 5", "n < 3")
    attnc.compile(other)(*inputs())
    (wrong,) = home.rglob(f"*.{suffix}")
    (file,) = filled.rglob(f"*.{suffix}")
    swapped = home / file.relative_to(filled)
    swapped.parent.mkdir(exist_ok=True)
    shutil.copy(wrong, swapped)
    assert right(outcome())


def test_a_warm_cache_is_used(filled: Path, home: Path) -> None:
    shutil.copytree(filled, home)
    before = attnc.stats()
    assert right(outcome())
    after = attnc.stats()
    assert {name for name in after if after[name] > before.get(name, 0)} == {
        "signature hits",
        "program hits",
        "kernel hits",
        "binary hits",
    }


# ---- disks -----------------------------------------------------------------------------------


def test_a_disk_that_fills_up_in_the_middle_costs_nothing_but_speed(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    opened = os.fdopen

    class Full:
        """A file that takes ten bytes."""

        def __init__(self, handle: int) -> None:
            self.file = opened(handle, "wb")

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> None:
            self.file.write(data[:10])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(
        os,
        "fdopen",
        lambda handle, mode: (
            Full(handle) if str(home) in os.readlink(f"/proc/self/fd/{handle}") else opened(handle, mode)
        ),
    )
    assert right(outcome())
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert right(outcome())


SCRIPT = """
import torch, attnc, sys
sys.path.insert(0, {root!r})
from tests.runtime.test_builds import SPEC, inputs, right
attention = attnc.compile(SPEC, strict=True)
print(right(attention(*inputs())), attnc.stats().get("compilations", 0))
"""
ROOT = Path(__file__).parents[2]


def process(home: Path, *before: str) -> subprocess.Popen[str]:
    environment = os.environ | {"ATTNC_CACHE": str(home), "PYTHONPATH": str(ROOT)}
    code = SCRIPT.format(root=str(ROOT))
    call = [*before, sys.executable, "-c", code]
    return subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def mounted(options: str, folder: Path) -> tuple[str, ...]:
    """The words that run a command with a small disk of its own at a folder."""
    mount = f'mount -t tmpfs -o {options} tmpfs {folder} && exec "$@"'
    return ("unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh")


@pytest.mark.parametrize("options", ["size=16k", "ro"])
def test_a_small_or_read_only_disk_costs_nothing_but_speed(options: str, home: Path) -> None:
    home.mkdir()
    words = mounted(options, home)
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a disk cannot be mounted here")
    said, _ = process(home, *words).communicate(timeout=120)
    assert said.split() == ["True", "1"]


# ---- rivals and kills ------------------------------------------------------------------------


def test_processes_that_build_the_same_kernel_agree(home: Path) -> None:
    rivals = [process(home) for _ in range(2)]
    said = [rival.communicate(timeout=120)[0].split() for rival in rivals]
    assert [words[0] for words in said] == ["True"] * 2
    before = attnc.stats().get("compilations", 0)
    assert right(outcome())
    assert attnc.stats().get("compilations", 0) == before


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after_some(count: int, call: Callable[..., object]) -> Callable[..., object]:
    """The function, until it has been called `count` times; then the process is killed."""
    calls = iter(range(count))

    def counted(*args: object, **named: object) -> object:
        if next(calls, None) is None:
            die()
        return call(*args, **named)

    return counted


def child(patch: Callable[[], None]) -> int:
    """The signal that ended a forked process which called the attention."""
    process = os.fork()
    if process == 0:
        signal.alarm(60)
        try:
            patch()
            outcome()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(process, 0)[1])


def before_rename(count: int) -> None:
    os.replace = after_some(count, os.replace)  # type: ignore[assignment]


def before_write(count: int) -> None:
    os.fdopen = after_some(count, os.fdopen)  # type: ignore[assignment]


def in_the_compiler(count: int) -> None:
    from attnc.codegen import cpp_build

    cpp_build._compiled = after_some(count, cpp_build._compiled)  # type: ignore[assignment]


POINTS = [(before_rename, count) for count in range(4)] + [(before_write, count) for count in range(4)]


@pytest.mark.parametrize(
    ("point", "count"), [*POINTS, (in_the_compiler, 0)], ids=lambda item: getattr(item, "__name__", item)
)
def test_a_kill_leaves_nothing_that_is_believed(point: Callable[[int], None], count: int, home: Path) -> None:
    assert child(lambda: point(count)) == signal.SIGKILL
    whole = [path for path in home.rglob("*") if path.is_file() and not path.name.startswith(place.UNFINISHED)]
    assert len(whole) == (count if point is not in_the_compiler else 3)
    assert right(outcome())


def test_a_forked_process_can_call_a_kernel_that_its_parent_has_called() -> None:
    q, k, v = (torch.randn(1, 8, 256, 16) for _ in range(3))
    attention = attnc.compile(SPEC)
    value = attention(q, k, v)  # by several threads
    process = os.fork()
    if process == 0:
        signal.alarm(60)
        os._exit(0 if torch.allclose(attention(q, k, v), value, atol=1e-5) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def test_what_a_killed_process_left_is_swept_away(home: Path) -> None:
    child(lambda: before_rename(2))
    (left,) = home.rglob(f"{place.UNFINISHED}*")
    os.utime(left, (0, 0))
    cache.put(left.parent.name + "0" * 62, "kernel", b"new")
    assert not left.exists()


def has_clang(folder: Path) -> bool:
    """Whether clang++ is installed with OpenMP."""
    found = shutil.which("clang++")
    (folder / "probe.cpp").write_text("int main() {}")
    call = ["clang++", "-fopenmp", "probe.cpp", "-o", "probe"]
    return found is not None and subprocess.run(call, cwd=folder, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_clang_makes_kernels_too(
    dtype: torch.dtype, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_clang(tmp_path):
        pytest.skip("no clang++ with OpenMP")
    from attnc.codegen import cpp_build

    monkeypatch.setenv("CXX", "clang++")
    monkeypatch.setattr(cpp_build, "compiler", cpp_build.compiler.__wrapped__)
    q, k, v = (torch.randn(1, 2, size, 64).to(dtype) for size in (rows, 150, 150))
    found = attnc.compile(SPEC.replace("n < 5", "n < 140"), strict=True)(q, k, v)
    expected = (q.double() @ k[:, :, :140].double().mT).softmax(-1) @ v[:, :, :140].double()
    bound = 1e-5 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(found, expected.to(dtype), atol=bound, rtol=bound)
