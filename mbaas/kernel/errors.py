"""The one family of errors that may reach a client, and the table of Parse's error codes.

    MbaasError                  anything a client may be told
    ├── ParseError              {"code", "error"} with the HTTP status of the code
    │   ├── Duplicate           137 and its kin: a unique index refused the write
    │   ├── TooMany             100 with HTTP 429: a limit is used up
    │   └── Conflict            251: the stored object changed since it was read
    └── Refused                 {"error"} without a code, as Parse answers before it knows the app

Source: the error codes of the Parse SDKs and the statuses that Parse Server 9.10 gives them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """Parse error codes, by the names of the JS SDK's `Parse.Error`."""

    OTHER_CAUSE = -1
    INTERNAL_SERVER_ERROR = 1
    CONNECTION_FAILED = 100
    OBJECT_NOT_FOUND = 101
    INVALID_QUERY = 102
    INVALID_CLASS_NAME = 103
    MISSING_OBJECT_ID = 104
    INVALID_KEY_NAME = 105
    INVALID_POINTER = 106
    INVALID_JSON = 107
    COMMAND_UNAVAILABLE = 108
    INCORRECT_TYPE = 111
    INVALID_CHANNEL_NAME = 112
    PUSH_MISCONFIGURED = 115
    OBJECT_TOO_LARGE = 116
    OPERATION_FORBIDDEN = 119
    CACHE_MISS = 120
    INVALID_NESTED_KEY = 121
    INVALID_FILE_NAME = 122
    INVALID_ACL = 123
    TIMEOUT = 124
    INVALID_EMAIL_ADDRESS = 125
    MISSING_CONTENT_TYPE = 126
    MISSING_CONTENT_LENGTH = 127
    INVALID_CONTENT_LENGTH = 128
    FILE_TOO_LARGE = 129
    FILE_SAVE_ERROR = 130
    INSTALLATION_MISSING_DEVICE_FIELD = 132
    INSTALLATION_MISSING_ID_FIELD = 135
    INSTALLATION_IMMUTABLE_FIELD = 136
    DUPLICATE_VALUE = 137
    INVALID_ROLE_NAME = 139
    EXCEEDED_QUOTA = 140
    SCRIPT_FAILED = 141
    VALIDATION_ERROR = 142
    WEBHOOK_ERROR = 143
    UNSAVED_FILE_ERROR = 151
    INVALID_PUSH_TIME_ERROR = 152
    FILE_DELETE_ERROR = 153
    REQUEST_LIMIT_EXCEEDED = 155
    DUPLICATE_REQUEST = 159
    INVALID_EVENT_NAME = 160
    FILE_DELETE_UNNAMED_ERROR = 161
    INVALID_VALUE = 162
    USERNAME_MISSING = 200
    PASSWORD_MISSING = 201
    USERNAME_TAKEN = 202
    EMAIL_TAKEN = 203
    EMAIL_MISSING = 204
    EMAIL_NOT_FOUND = 205
    SESSION_MISSING = 206
    MUST_CREATE_USER_THROUGH_SIGNUP = 207
    ACCOUNT_ALREADY_LINKED = 208
    INVALID_SESSION_TOKEN = 209
    MFA_ERROR = 210
    MFA_TOKEN_REQUIRED = 211
    LINKED_ID_MISSING = 250
    INVALID_LINKED_SESSION = 251
    UNSUPPORTED_SERVICE = 252
    INVALID_SCHEMA_OPERATION = 255


HTTP_STATUS: dict[int, int] = {Code.OBJECT_NOT_FOUND: 404, Code.INTERNAL_SERVER_ERROR: 500, Code.REQUEST_LIMIT_EXCEEDED: 429}
"""The codes whose HTTP status is not 400."""


class MbaasError(Exception):
    """What a client may be told: `message`, or where `sanitized` is a text, that one, by apps that keep the default
    `enableSanitizedErrorResponse: true`; the precise message then goes to the log only."""

    status = 400

    def __init__(self, message: str, *, sanitized: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.sanitized = sanitized


class ParseError(MbaasError):
    """An error with a Parse code. `told` is sent instead of `message` where the app's own code said it with something else than a text."""

    def __init__(self, code: int, message: str, *, sanitized: str | None = None, status: int | None = None, told: Any = None) -> None:
        super().__init__(message, sanitized=sanitized)
        self.code = int(code)
        self.told = told
        self.status = status or HTTP_STATUS.get(code, 400)


class Duplicate(ParseError):
    """A unique index refused a write; `index` names it, so that the class's own room can choose its words."""

    def __init__(self, index: str) -> None:
        super().__init__(Code.DUPLICATE_VALUE, "A duplicate value for a field with unique values was provided")
        self.index = index


class Conflict(ParseError):
    """The stored object is no longer the version that the write was based on."""

    def __init__(self) -> None:
        super().__init__(Code.INVALID_LINKED_SESSION, "The object was changed at the same time; read it again and retry.", status=409)


class TooMany(ParseError):
    """429: the caller is to wait. `limit` names what was used up: `"sign-in"; q=10; w=60`."""

    def __init__(self, message: str, retry_after_s: int, limit: str = "", code: int = Code.CONNECTION_FAILED) -> None:
        super().__init__(code, message, status=429)
        self.retry_after_s = retry_after_s
        self.limit = limit


class Refused(MbaasError):
    """An answer without a Parse code: unknown application, wrong key, missing master key."""

    def __init__(self, message: str = "unauthorized", status: int = 403, *, sanitized: str | None = None) -> None:
        super().__init__(message, sanitized=sanitized)
        self.status = status


def forbidden(detail: str) -> ParseError:
    """119, whose precise text is for servers that turned sanitizing off."""
    return ParseError(Code.OPERATION_FORBIDDEN, detail, sanitized="Permission denied")


def not_found() -> ParseError:
    """101, told alike for what is absent and for what the caller may not see."""
    return ParseError(Code.OBJECT_NOT_FOUND, "Object not found.")
