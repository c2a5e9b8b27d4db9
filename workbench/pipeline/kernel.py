"""Kernels on unix sockets: many may start at once without racing for ports."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from workbench.pipeline.sockets import SOCKETS_VARIABLE, sockets_folder


class SocketKernelManager(AsyncKernelManager):
    """Starts this very interpreter's ipykernel, whatever kernels the user has installed, over unix sockets.

    The sockets lie in a short-named folder of their own (a socket's path may have 107 characters, no more), which
    only this user can enter and which is removed with the kernel.
    """

    @default("transport")
    def _transport_default(self):
        return "ipc"

    @default("connection_file")
    def _connection_file_default(self):
        self._folder = Path(os.environ.get(SOCKETS_VARIABLE) or sockets_folder())
        return str(self._folder / "k.json")

    def format_kernel_cmd(self, extra_arguments=None):
        return [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            os.path.realpath(self.connection_file),
            *(extra_arguments or []),
        ]

    async def _async_cleanup_resources(self, restart=False):
        await super()._async_cleanup_resources(restart)
        if not restart and getattr(self, "_folder", None):
            shutil.rmtree(self._folder, ignore_errors=True)

    cleanup_resources = _async_cleanup_resources
