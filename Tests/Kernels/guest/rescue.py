"""The rescue shell of a crash kernel, as a person types into it."""

from .qemu import Guest


def type_captures(guest: Guest, captures: list, seconds: int) -> int:
    """A wrong word, then mcore-capture with each of `captures`, for which there are so many seconds each; then /proc/vmcore is copied to
    the second disk. Returns how many bytes it has."""
    # A wrong word is told, with the place, and nothing happens.
    guest.send("mcore-capture tarhet=/dev/vda:/var/crash; echo status=$?\n")
    guest.expect("tarhet", 30)
    guest.expect("status=2", 30)
    for words in captures:
        guest.send(f"mcore-capture {words}; echo status=$?\n")
        guest.expect("status=0", seconds, or_fail=r"status=\d+")
    guest.send("grep -c /dev/vda /proc/mounts; stat -c size=%s /proc/vmcore\n")
    guest.expect("\n0\n", 30)
    size = int(guest.expect(r"size=(?P<size>\d+)\s", 30)["size"])
    guest.send("dd if=/proc/vmcore of=/dev/vdb bs=1M conv=fsync && echo copied\n")
    guest.expect("\ncopied", 300)
    return size
