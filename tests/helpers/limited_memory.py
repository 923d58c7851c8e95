"""Calls with a limit of memory: in a fork of this process that may only take a certain amount more."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

LIMIT = 300
"""Default limit in megabytes."""


def call_limited(function: Callable[[], object], *, megabytes: int = LIMIT) -> str:
    """Call a function that may take a limited amount of memory; return its result or its error as text.

    The text is "NAME: MESSAGE" for an exception. The limit counts the address space, also untouched memory.
    """
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            limit = size + megabytes * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            try:
                text = str(function())
            except BaseException as error:
                text = f"{type(error).__name__}: {error}"
            os.write(write, text.encode()[:4000])
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        text = stream.read()
    assert os.waitpid(process, 0)[1] == 0
    return text
