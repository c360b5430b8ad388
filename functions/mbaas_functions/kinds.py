"""What code may declare beside triggers: the words for it between server and worker."""

from __future__ import annotations

FUNCTION, JOB, HTTP, PROVIDER = "function", "job", "http", "authProvider"
