"""The page itself: a folder of scripts beside an index.html, or all of them in one file. It may load what is in it and nothing else.

Its Content-Security-Policy forbids every request, scripts and styles but its own, frames and forms, so that text of a model could send
nothing anywhere even if it became more than text.
"""

import base64
import errno
import hashlib
import html
import re
import shutil
from pathlib import Path

from recipes.viewer.packs import script
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

SOURCE = Path(__file__).parent / "page"
STYLES = ("vendor/uplot/uPlot.min.css", "vendor/katex/katex.min.css", "style.css")
SCRIPTS = (
    "vendor/uplot/uPlot.iife.min.js", "vendor/katex/katex.min.js", "packs.js", "safe_text.js", "tokens.js", "charts.js", "table.js",
    "group.js", "rollouts.js", "problems.js", "curves.js", "examples.js", "main.js",
)  # fmt: skip
LICENCES = ("vendor/uplot/LICENSE", "vendor/katex/LICENSE")
MARK = "reckon-view"
"""A file of a folder of ours, which may be written again."""
_FONT = re.compile(r"url\(fonts/([\w-]+\.woff2)\) format\(\"woff2\"\)(?:,url\(fonts/[\w-]+\.\w+\) format\(\"\w+\"\))*")
_POLICY = "default-src 'none'; script-src {scripts}; style-src {styles}; font-src data:; img-src data:; base-uri 'none'; form-action 'none'"


def style_of(name: str) -> str:
    """A style sheet, its fonts in it: a page that was opened from disk could not load them."""
    text = (SOURCE / name).read_text(encoding="utf-8")

    def inline(found: re.Match[str]) -> str:
        font = (SOURCE / name).parent / "fonts" / found[1]
        return f'url(data:font/woff2;base64,{base64.b64encode(font.read_bytes()).decode("ascii")}) format("woff2")'

    return _FONT.sub(inline, text)


class PageFolder:
    """A folder: index.html, the page's own files in page/, packs in data/."""

    def __init__(self, folder: Path, *, option: str = "--out"):
        """Raises InputError for a folder that holds something else, which would be lost, and for a file."""
        self.folder, self.option = folder, option
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{option} {folder} is a file; give a folder, or a name that ends in .html for one file")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
            raise InputError(f"{option} {folder} holds other files; give a folder that is new, or one of an earlier view")

    def begin(self) -> None:
        """An empty folder; what an earlier view left goes."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # first, and kept: who is killed in between leaves a folder of ours
            (self.folder / MARK).write_text("made by reckon view, and made anew by it\n", encoding="utf-8")
            for old in self.folder.iterdir():  # not the folder itself, which may be a link
                if old.name != MARK:
                    shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
            (self.folder / "data").mkdir()
        except OSError as error:
            raise _not_written(self.option, self.folder, error) from error

    def put(self, name: str, packed: str) -> None:
        with atomic_path(self.folder / "data" / f"{name}.js") as temporary:
            temporary.write_text(script(name, packed), encoding="ascii")

    def put_live(self, text: str) -> None:
        """The script that an open page asks for again and again."""
        with atomic_path(self.folder / "live.js") as temporary:
            temporary.write_text(text, encoding="ascii")

    def end(self, title: str) -> Path:
        """Writes the page; returns the file to open."""
        for name in (*SCRIPTS, *LICENCES):
            place = self.folder / "page" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(SOURCE / name, place)
        for name in STYLES:
            (self.folder / "page" / name).write_text(style_of(name), encoding="utf-8")
        own = "'self' file:"
        head = "".join(f'<link rel="stylesheet" href="page/{name}">\n' for name in STYLES)
        tail = "".join(f'<script src="page/{name}"></script>\n' for name in SCRIPTS)
        path = self.folder / "index.html"
        with atomic_path(path) as temporary:
            temporary.write_text(_page(title, _POLICY.format(scripts=own, styles=own), head, tail), encoding="utf-8")
        return path


class PageFile:
    """One file that holds everything, to be mailed or put somewhere."""

    def __init__(self, path: Path, *, option: str = "--out"):
        """Raises InputError for a folder of that name, which would be lost."""
        self.path, self.option = path, option
        self._data: list[str] = []
        if path.is_dir():
            raise InputError(f"{option} {path} is a folder, and one file would be written; give another name")

    def begin(self) -> None:
        """Raises InputError for a place that cannot be written, before anything is read."""
        self._data.clear()
        try:
            with atomic_path(self.path.parent / f"{self.path.name}.{MARK}") as temporary:
                temporary.touch()
            (self.path.parent / f"{self.path.name}.{MARK}").unlink()
        except OSError as error:
            raise _not_written(self.option, self.path, error) from error

    def put(self, name: str, packed: str) -> None:
        self._data.append(script(name, packed))

    def end(self, title: str) -> Path:
        """Scripts and styles are named by their hashes: no other runs."""
        styles = [style_of(name) for name in STYLES]
        first = [(SOURCE / name).read_text(encoding="utf-8") for name in SCRIPTS]
        before_main, main = first[:-1], first[-1]
        scripts = [*before_main, *self._data, main]
        head = "".join(f"<style>{text}</style>\n" for text in styles)
        tail = "".join(f"<script>{text}</script>\n" for text in scripts)
        policy = _POLICY.format(scripts=" ".join(map(_hash, scripts)), styles=" ".join(map(_hash, styles)))
        with atomic_path(self.path) as temporary:
            temporary.write_text(_page(title, policy, head, tail), encoding="utf-8", newline="\n")
        return self.path


def _not_written(option: str, place: Path, error: OSError) -> Exception:
    """A full disk is said by whoever says it of all commands."""
    if error.errno == errno.ENOSPC:
        return error
    return InputError(f"{option} {place} cannot be written: {error.strerror}; give another place")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _page(title: str, policy: str, head: str, tail: str) -> str:
    body = (SOURCE / "body.html").read_text(encoding="utf-8")
    name = html.escape(title.encode("utf-8", "replace").decode())  # a name may hold half a surrogate pair
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{name}</title>\n{head}</head>\n{body}{tail}</html>\n'
    )
