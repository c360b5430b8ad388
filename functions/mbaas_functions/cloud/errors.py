"""What a function raises to refuse, and what the server's own refusals are raised as."""

from __future__ import annotations

SCRIPT_FAILED = 141
VALIDATION_ERROR = 142


class Error(Exception):
    """An error that the client is told as it stands: `Parse.Error` of the JS SDK.

    Any other exception is told by its text, with code 141.
    """

    def __init__(self, message: str = "Script failed.", code: int = SCRIPT_FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
