"""Processes that run side by side, each in a session of its own, and that all end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from demo.standalone import Process, end, processes_of


class Processes:
    """Started one by one, ended together with their children when the block ends.

    :param logs: the folder that gets what each of them says
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: dict[str, Process] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exc_info: object) -> None:
        end(*self._started.values())

    def start(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        """Start a process under a name.

        :param user: whose process it is to be, if not one's own
        """
        with (self._logs / f"{name}.log").open("wb") as log:
            self._started[name] = subprocess.Popen(
                command,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=None if user is None else "/",  # it may not enter the folder we are in
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )

    def kill(self, name: str) -> int:
        """Kill a process and all its children at once, and return how many there were."""
        killed = set()
        while found := processes_of(self._started[name]):  # one may have come meanwhile
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
                    killed.add(process.pid)
        return len(killed)

    def raise_if_ended(self, *killed: str) -> None:
        """Raise if one has ended that nobody killed, with the end of what it said."""
        for name, process in self._started.items():
            if name not in killed and process.poll() is not None:
                raise AssertionError(f"{self.log(name)[-4000:]}\n{name} has ended.")

    def log(self, name: str) -> str:
        """Return what a process said."""
        return (self._logs / f"{name}.log").read_text(errors="replace")
