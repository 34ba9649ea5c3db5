"""One thread of Python at a time in compiled code that is itself parallel.

Where numba finds neither OpenMP nor TBB, its threads are shared by all of the process, which is
ended if two threads of Python use them at once.
"""

from __future__ import annotations

import threading
from typing import Final

KERNELS: Final = threading.RLock()
"""Held by who proves or verifies. Nothing is lost: one proof keeps all cores busy."""
