"""`python -m services.demo CONFIG`: the simulator, at the ports that the configuration names."""

import asyncio
import sys
from pathlib import Path

from services.demo.serve import serve

asyncio.run(serve(Path(sys.argv[1])))
