"""The files of a served folder as a browser gets them: types, compression, revalidation, policy.

Any static host serves a bundle; what this adds beyond one is that a phone's first visit is small and isolated at once.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

INDEX = "index.html"

# Spelled out, because Python otherwise asks the machine's own tables, and browsers insist on several of these.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
}
# Weights of eight bits shrink by a tenth, which on a rural line is three seconds.
_COMPRESSIBLE = {".html", ".js", ".css", ".json", ".webmanifest", ".svg", ".wasm", ".bin"}
# Vite puts a hash of the content into these names.
_HASHED_NAME = re.compile(r"-[\w-]{8}\.\w+$")
_ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class ServedFile:
    """One file, ready to be sent.

    Attributes:
        content: As it lies on the disk.
        compressed: The same through gzip, where that is worth it.
        headers: All but those that depend on the encoding.
    """

    content: bytes
    compressed: bytes | None
    headers: dict[str, str]

    @property
    def etag(self) -> str:
        """What tells this content from any other, however it is encoded."""
        return self.headers["ETag"]


class StaticFiles:
    """The files below one folder, read and compressed once: nothing else, no listings, no link that leads out.

    The folder itself may be a link, which is followed anew for each file: what it names may be exchanged as a whole.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = folder.resolve()
        self._kept: dict[Path, tuple[tuple[int, int], ServedFile]] = {}

    def path(self, target: str) -> Path | None:
        """Return the file or folder that a request's target names, or None where there is none to be shown."""
        name = unquote(target.partition("?")[0].partition("#")[0])
        if "\0" in name:
            return None
        root = self._folder.resolve()
        if root != self._root:
            self._root, self._kept = root, {}
        found = (root / name.lstrip("/")).resolve()
        if not found.is_relative_to(root):
            return None
        if found.is_dir():
            return found if (found / INDEX).is_file() else None
        return found if found.is_file() and not name.endswith("/") else None

    def file(self, path: Path) -> ServedFile:
        """Return the file at a path that `path` has given."""
        state = path.stat()
        version = (state.st_mtime_ns, state.st_size)
        kept = self._kept.get(path)
        if kept is None or kept[0] != version:
            kept = (version, self._read(path))
            self._kept[path] = kept
        return kept[1]

    def _read(self, path: Path) -> ServedFile:
        content = path.read_bytes()
        compressible = path.suffix in _COMPRESSIBLE
        headers = {
            "Content-Type": _TYPES.get(path.suffix, "application/octet-stream"),
            "Cache-Control": "public, max-age=31536000, immutable" if _is_immutable(path) else "no-cache",
            # Weak: the compressed form has it as well.
            "ETag": f'W/"{hashlib.sha256(content).hexdigest()[:32]}"',
            "X-Content-Type-Options": "nosniff",
            **_ISOLATION,
            **self._policy(path),
        }
        if compressible:
            headers["Vary"] = "Accept-Encoding"
        return ServedFile(content, gzip.compress(content, 9, mtime=0) if compressible else None, headers)

    def _policy(self, path: Path) -> dict[str, str]:
        """Return the header with the policy of the page that a file belongs to, which the page itself states."""
        for folder in path.parents:
            if not folder.is_relative_to(self._root):
                break
            if (folder / INDEX).is_file():
                policy = stated_policy((folder / INDEX).read_text())
                # The one thing that a page cannot say in itself.
                return {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"} if policy else {}
        return {}


def stated_policy(html: str) -> str | None:
    """Return the Content-Security-Policy in a page's `<meta>` element, or None."""
    reader = _PolicyReader()
    reader.feed(html)
    return reader.policy


def accepts_gzip(accepted: str | None) -> bool:
    """Return whether the header Accept-Encoding lets an answer be compressed with gzip."""
    for coding in (accepted or "").lower().split(","):
        name, _, weight = (part.strip() for part in coding.partition(";"))
        if name == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _is_immutable(path: Path) -> bool:
    return path.parent.name == "assets" and bool(_HASHED_NAME.search(path.name))


class _PolicyReader(HTMLParser):
    policy: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "meta" and (found.get("http-equiv") or "").lower() == "content-security-policy":
            self.policy = found.get("content")
