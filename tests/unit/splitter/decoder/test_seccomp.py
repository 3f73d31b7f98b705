"""The filter of system calls, on both processors that images are built for."""

from __future__ import annotations

import ctypes
import ctypes.util

import pytest

from splitter.decoder.seccomp import ARCHITECTURES, filter_program

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
PID = 4711


def run(program, audit: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel does, on what it is shown of one system call."""
    words = {0: number, 4: audit}
    for index, value in enumerate(arguments):
        words[16 + 8 * index] = value & 0xFFFFFFFF
    at, loaded = 0, 0
    while True:
        code, if_true, if_false, operand = program[at]
        match code:
            case 0x20:
                loaded = words[operand]
                at += 1
            case 0x15:
                at += 1 + (if_true if loaded == operand else if_false)
            case 0x45:
                at += 1 + (if_true if loaded & operand else if_false)
            case 0x06:
                return operand


@pytest.fixture(params=sorted(ARCHITECTURES))
def architecture(request):
    return ARCHITECTURES[request.param]


@pytest.fixture
def verdict(architecture):
    program = filter_program(architecture, PID)

    def of(name: str, *arguments: int) -> int:
        return run(program, architecture.audit, architecture.calls[name], *arguments)

    return of


def test_the_numbers_are_those_of_libseccomp(architecture):
    library = ctypes.util.find_library("seccomp")
    if library is None:
        pytest.skip("libseccomp is not installed")
    resolve = ctypes.CDLL(library).seccomp_syscall_resolve_name_arch
    names = architecture.calls
    assert {n: resolve(architecture.audit, n.encode()) for n in names} == names


def test_what_decoding_needs_is_allowed(verdict):
    assert verdict("read", 0, 0, 1) == verdict("exit_group", 0) == ALLOW
    assert verdict("mmap", 0, 4096, 3) == verdict("mprotect", 0, 4096, 1) == ALLOW
    assert verdict("tgkill", PID, PID, 6) == ALLOW
    assert verdict("fcntl", 3, 2, 1) == ALLOW


def test_memory_as_code_signals_to_others_and_their_like_are_refused(verdict):
    assert verdict("mmap", 0, 4096, 7) == verdict("mprotect", 0, 4096, 5) == REFUSE
    assert verdict("tgkill", PID + 1, PID + 1, 9) == REFUSE
    assert verdict("fcntl", 3, 8, 1) == REFUSE  # F_SETOWN
    assert verdict("ioctl", 0, 0x5412) == REFUSE  # TIOCSTI, which types into a terminal


def test_every_other_call_is_refused(architecture):
    program = filter_program(architecture, PID)
    others = set(range(1000)) - set(architecture.calls.values())
    assert {run(program, architecture.audit, number) for number in others} == {REFUSE}
    # x86's calls of 32-bit programs under 64 bits
    assert run(program, architecture.audit, 0x40000000) == REFUSE


def test_another_architecture_s_calls_end_the_process(architecture):
    assert run(filter_program(architecture, PID), 0x40000003, 0) == KILL
