"""The whole system, as a user runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.cli import COMMAND, environment


@asynccontextmanager
async def up(folder: Path, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `modelog up` in *folder*; what it says goes to `out.txt` there."""
    with (folder / "out.txt").open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "up"), cwd=folder, env=environment(**env), stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(15):
            await process.wait()
