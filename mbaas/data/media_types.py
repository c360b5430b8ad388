"""Media types of file names, and which of them a browser may show in place without harm.

The table is this file's own and does not depend on the machine. Showing is by allow-list: whatever can run script (HTML, SVG,
XML…) and whatever is not known is handed out as a download.
"""

from __future__ import annotations

import mimetypes
import re

_TYPES = mimetypes.MimeTypes(filenames=())
_MORE = {
    "js": "text/javascript",
    "mjs": "text/javascript",
    "md": "text/markdown",
    "webp": "image/webp",
    "avif": "image/avif",
    "heic": "image/heic",
    "heif": "image/heif",
    "m4a": "audio/mp4",
    "m4v": "video/x-m4v",
    "webm": "video/webm",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "gz": "application/gzip",
    "xhtml": "application/xhtml+xml",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_EXTENSIONS = {"text/plain": "txt", "image/jpeg": "jpeg", "text/html": "html", "application/octet-stream": "bin", "audio/mpeg": "mp3"}
_MEDIA_WORD = r"[!#$%&'*+\-.^_`|~A-Za-z0-9]+"
_MEDIA_TYPE = re.compile(rf"\s*({_MEDIA_WORD})/({_MEDIA_WORD})\s*(?:;.*)?$", re.DOTALL)
_SHOWN = re.compile(
    r"text/plain$|text/csv$|application/(json|pdf)$|image/(png|jpeg|gif|webp|avif|bmp|heic|heif|tiff|vnd\.microsoft\.icon|x-icon)$|(audio|video)/[\w.+-]+$|font/[\w.+-]+$"
)

UNKNOWN = "application/octet-stream"


def extension(name: str) -> str:
    """What follows the last dot, or nothing."""
    return name.rpartition(".")[2] if "." in name else ""


def by_name(name: str) -> str | None:
    """The type that a name's extension stands for."""
    ending = extension(name).lower()
    return _MORE.get(ending) or _TYPES.types_map[True].get("." + ending) if ending else None


def parsed(content_type: str) -> tuple[str, str] | None:
    """Type and subtype of a Content-Type, lower-case; None if it is malformed."""
    found = _MEDIA_TYPE.match(content_type)
    return (found.group(1).lower(), found.group(2).lower()) if found else None


def extension_of(content_type: str) -> str | None:
    """The usual extension of a type."""
    found = parsed(content_type)
    if found is None:
        return None
    kind = "/".join(found)
    if kind in _EXTENSIONS:
        return _EXTENSIONS[kind]
    guess = _TYPES.guess_extension(kind) or next(("." + e for e, t in _MORE.items() if t == kind), None)
    return guess[1:] if guess else None


def may_be_shown(content_type: str) -> bool:
    """True if a browser may show the type in place."""
    return bool(_SHOWN.match(content_type.split(";")[0].strip().lower()))
