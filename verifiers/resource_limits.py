"""The limits that a process sets itself before it does what may take too much: the kernel keeps them, for its children too."""

import resource


def set_limit(name: str, value: int, *, for_good: bool = True) -> None:
    """Limit a resource (`"AS"` is the address space) of this process and its children to `value`, or less where less was allowed.

    `for_good`: nobody here can raise it again. A resource that this system does not know is passed over.
    """
    number = getattr(resource, f"RLIMIT_{name}", None)
    if number is not None:
        _, ceiling = resource.getrlimit(number)
        value = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        resource.setrlimit(number, (value, value if for_good else ceiling))


def address_space() -> int:
    """Bytes of address space that this process has now. Linux."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
