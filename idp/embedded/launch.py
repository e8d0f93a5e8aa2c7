"""Run a program that dies with the process that started it.

`command()` wraps an argument list; the wrapped list runs this file in a bare interpreter, which
prepares itself and becomes the program. On Linux the kernel sends the signal when the starter is
gone, however it died. Elsewhere this process stays beside the program and watches.

The kernel's signal is tied to the *thread* that starts the program: start from the main thread.
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES = {"dac_override": 1, "dac_read_search": 2, "setpcap": 8}


def command(
    argv: Sequence[str],
    *,
    on_death: signal.Signals = signal.SIGTERM,
    user: tuple[int, int] | None = None,
    capability: str | None = None,
) -> list[str]:
    """Wrap `argv`, whose first item is an absolute path.

    on_death: what the program gets when this process is gone.
    user: uid and gid to become first. capability: a key of CAPABILITIES to keep all the same
    (Linux; needs setpcap), for a program whose files lie in a folder that only root may enter.
    """
    options = [f"--parent={os.getpid()}", f"--signal={int(on_death)}"]
    if user is not None:
        options.append(f"--user={user[0]}:{user[1]}")
    if capability is not None:
        options.append(f"--capability={capability}")
    return [sys.executable, "-ISB", str(Path(__file__).resolve()), *options, "--", *argv]


def has_capability(name: str) -> bool:
    """Whether this process holds a key of CAPABILITIES."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    held = int(status.partition("CapEff:")[2].split()[0], 16)
    return bool(held >> CAPABILITIES[name] & 1)


def die_with_parent(sig: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process `sig` when its parent dies; does nothing off Linux."""
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, int(sig))


def _prctl(option: int, *args: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    if libc.prctl(ctypes.c_int(option), *padded) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def _become(uid: int, gid: int, capability: str | None) -> None:
    """Become an ordinary user, with one capability left when asked for."""
    if capability is not None:
        # Without this, access(2) ignores capabilities of a process that is not root.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if capability is None:
        return
    number = CAPABILITIES[capability]
    bits = 1 << number
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable for the lower 32 numbers, then for the upper
    data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, data) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"capset: {os.strerror(code)}")
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number)


def _watch(argv: list[str], parent: int, sig: int) -> int:
    """Run `argv` beside us and end it when `parent` is gone; return its exit status."""
    program = subprocess.Popen(argv, close_fds=False)  # an inherited socket goes on to it
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: program.send_signal(got))
    while (status := program.poll()) is None:
        if os.getppid() != parent:
            program.send_signal(sig)
            try:
                program.wait(30)
            except subprocess.TimeoutExpired:
                program.kill()
        time.sleep(0.2)
    return status if status >= 0 else 128 - status


def main(arguments: list[str]) -> NoReturn:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--user")
    parser.add_argument("--capability", choices=sorted(CAPABILITIES))
    parser.add_argument("--watch", action="store_true", default=not _LINUX)
    parser.add_argument("argv", nargs="+")
    options = parser.parse_args(arguments)
    if options.user:
        uid, gid = map(int, options.user.split(":"))
        _become(uid, gid, options.capability)
    if options.watch:
        sys.exit(_watch(options.argv, options.parent, options.signal))
    # After the change of user, which would clear it.
    die_with_parent(signal.Signals(options.signal))
    if os.getppid() != options.parent:
        sys.exit(1)  # the starter died before the kernel knew
    os.execv(options.argv[0], options.argv)  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main(sys.argv[1:])
