"""A seccomp filter that refuses the system calls through which a program reaches the kernel's darker corners.

It is a deny-list, because a Python program may need any ordinary call: what is refused is what no reasoning task needs and what past
privilege escalations went through (ptrace, bpf, io_uring and the older io_setup, userfaultfd, keys, new namespaces, mounts), what
would leave something behind (System V IPC), files in memory that no process's size shows (memfd), and sockets of every family.
A refused call fails with EPERM; it does not kill the program.
The filter is written as raw BPF: no library is needed. Calls with numbers of another architecture kill.
"""

import ctypes
import os
import platform
import struct

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NUMBER, _ARCH, _ARG0 = 0, 4, 16  # offsets in struct seccomp_data; the low half of an argument on little-endian machines
_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_DENIED = {  # name: its number on x86_64, on aarch64
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "perf_event_open": (298, 241),
    # kernel interfaces with a history
    "bpf": (321, 280), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "io_setup": (206, 0), "io_destroy": (207, 1), "io_submit": (209, 2), "io_cancel": (210, 3),
    "io_getevents": (208, 4), "io_pgetevents": (333, 292), "vmsplice": (278, 75), "remap_file_pages": (216, 234),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "lookup_dcookie": (212, 18), "modify_ldt": (154, None),
    "uselib": (134, None), "personality": (135, 92), "syslog": (103, 116), "vhangup": (153, 58),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # the machine
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, None), "ioperm": (173, None), "mbind": (237, 235), "set_mempolicy": (238, 237), "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # what would outlive the program
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191),
    "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "mq_open": (240, 180), "mq_unlink": (241, 181),
    # the network; socketpair stays, for asyncio
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242),
}  # fmt: skip
_SIGNALS = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
}  # fmt: skip
_CLONE, _CLONE3 = (56, 220), (435, 435)
_LIBC = ctypes.CDLL(None, use_errno=True)


def supported() -> bool:
    """Whether there are system call numbers for this machine."""
    return platform.machine() in _ARCHITECTURES


def build_filter(only_signal: int | None = None) -> bytes:
    """The BPF program. With `only_signal`, signals may be sent to that process id alone (where no namespace keeps others safe)."""
    column, arch = _ARCHITECTURES[platform.machine()]
    code = [_op(_LOAD, _ARCH), _op(_JUMP_EQUAL, arch, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NUMBER)]
    if column == 0:  # the x32 twins of every call
        code += [_op(_JUMP_AT_LEAST, 0x40000000, 0, 1), _op(_RETURN, _ERRNO | _EPERM)]
    for numbers in _DENIED.values():
        if numbers[column] is not None:
            code += [_op(_JUMP_EQUAL, numbers[column] or 0, 0, 1), _op(_RETURN, _ERRNO | _EPERM)]
    # clone3 keeps its flags behind a pointer, out of a filter's sight; without it, the C library uses clone
    code += [_op(_JUMP_EQUAL, _CLONE3[column], 0, 1), _op(_RETURN, _ERRNO | _ENOSYS)]
    if only_signal is not None:
        for numbers in _SIGNALS.values():
            code += [_op(_JUMP_EQUAL, numbers[column], 0, 4), _op(_LOAD, _ARG0), _op(_JUMP_EQUAL, only_signal, 0, 1)]
            code += [_op(_RETURN, _ALLOW), _op(_RETURN, _ERRNO | _EPERM)]
    code += [_op(_JUMP_EQUAL, _CLONE[column], 0, 3), _op(_LOAD, _ARG0), _op(_JUMP_BITS, _NAMESPACES, 0, 1)]
    code += [_op(_RETURN, _ERRNO | _EPERM), _op(_RETURN, _ALLOW)]
    return b"".join(code)


class Filter:
    """A BPF program in memory, where the kernel can read it."""

    def __init__(self, program: bytes) -> None:
        self._program = ctypes.create_string_buffer(program, len(program))
        header = struct.pack("@HP", len(program) // 8, ctypes.addressof(self._program))
        self._header = ctypes.create_string_buffer(header, len(header))
        self._address = ctypes.c_void_p(ctypes.addressof(self._header))

    def install(self) -> None:
        """Put this thread and its future children under the filter, for good. Needs no_new_privs. Raises OSError."""
        if _LIBC.prctl(22, 2, self._address, 0, 0):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
            raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
