"""The system call filter, run by an interpreter of BPF written here; its numbers against the kernel's headers; other machines."""

import platform
import re
import struct
from pathlib import Path

import pytest

from verifiers.sandboxes import fork_server, system_call_filter

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {"x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), "aarch64": Path("/usr/include/asm-generic/unistd.h")}


def run_filter(program: bytes, arch: int, number: int, argument: int = 0) -> int:
    """What the kernel would do for a system call."""
    data = struct.pack("=IIQ6Q", number, arch, 0, argument, 0, 0, 0, 0, 0)
    code = [struct.unpack_from("=HBBI", program, offset) for offset in range(0, len(program), 8)]
    position = accumulator = 0
    while True:
        operation, if_true, if_false, value = code[position]
        position += 1
        match operation:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                [accumulator] = struct.unpack_from("=I", data, value)
            case 0x15:  # BPF_JMP | BPF_JEQ
                position += if_true if accumulator == value else if_false
            case 0x35:  # BPF_JGE
                position += if_true if accumulator >= value else if_false
            case 0x45:  # BPF_JSET
                position += if_true if accumulator & value else if_false
            case 0x06:  # BPF_RET
                return value
            case _:
                raise AssertionError(f"operation {operation:#x}")


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(platform, "machine", lambda: request.param)
    return str(request.param)


def numbers_of(machine: str) -> dict[str, int]:
    if not HEADERS[machine].is_file():
        pytest.skip(f"no {HEADERS[machine]}")
    text = HEADERS[machine].read_text()
    return {name: int(number) for name, number in re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", text, re.M)}


def test_the_numbers_are_the_kernels(machine: str):
    known = numbers_of(machine)
    column = list(HEADERS).index(machine)
    tables = (
        system_call_filter._DENIED
        | system_call_filter._SIGNALS
        | {"clone": system_call_filter._CLONE, "clone3": system_call_filter._CLONE3}
    )
    wrong = {name: row[column] for name, row in tables.items() if name in known and row[column] != known[name]}
    assert wrong == {}
    assert {name for name, row in tables.items() if row[column] is not None} - known.keys() <= {"open_tree_attr"}  # Linux 6.15
    assert len(tables) > 80


def test_what_is_refused_and_what_is_not(machine: str):
    known, program, arch = numbers_of(machine), system_call_filter.build_filter(), ARCH[machine]
    for name in (
        "socket",
        "ptrace",
        "mount",
        "bpf",
        "io_uring_setup",
        "unshare",
        "setns",
        "keyctl",
        "process_vm_readv",
        "open_by_handle_at",
        "memfd_create",
        "io_setup",
        "io_submit",
        "io_destroy",
        "io_getevents",
        "io_uring_enter",
        "io_uring_register",
        "vmsplice",
    ):
        assert run_filter(program, arch, known[name]) == EPERM, name
    for name in ("read", "write", "openat", "execve", "mmap", "futex", "socketpair", "kill", "exit_group", "getrandom"):
        assert run_filter(program, arch, known[name]) == ALLOW, name
    assert run_filter(program, arch, known["clone"], 0x11) == ALLOW
    assert run_filter(program, arch, known["clone"], 0x10000011) == EPERM  # with a new user namespace
    assert run_filter(program, arch, known["clone3"]) == ENOSYS
    for other in (*(set(ARCH.values()) - {arch}), 0x40000003):
        assert run_filter(program, other, known["read"]) == KILL


def test_signals_to_others_are_refused_where_asked(machine: str):
    known, program = numbers_of(machine), system_call_filter.build_filter(only_signal=42)
    for name in ("kill", "tgkill", "pidfd_send_signal"):
        assert run_filter(program, ARCH[machine], known[name], 42) == ALLOW
        assert run_filter(program, ARCH[machine], known[name], 1) == EPERM
    assert run_filter(program, ARCH[machine], known["clone"], 0x10000011) == EPERM


@pytest.mark.parametrize("level", ["strict", "landlock"])
def test_another_machine_is_refused_before_anything_is_changed(level: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(fork_server.landlock, "version", lambda: 7)
    assert not system_call_filter.supported()
    with pytest.raises(OSError, match="no system call filter for riscv64"):
        fork_server._Host({"level": level, "paths": [], "preload": []})


def test_no_landlock_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fork_server.landlock, "version", lambda: 0)
    with pytest.raises(OSError, match="Landlock is absent or turned off"):
        fork_server._Host({"level": "strict", "paths": [], "preload": []})
