"""The repository's own text files, as the rules of tidy.py see them."""

import functools
import os
import re

# Not ours, or made by the build.
_SKIPPED_FOLDERS = {"build", "node_modules", "__pycache__", "corpus"}
_KEPT_HIDDEN = {".ci", ".clang-tidy", ".clang-format", ".gitignore"}

_COMMENT_OR_LITERAL = re.compile(
    r"""//[^\n]*
      | /\*.*?\*/
      | R"(?P<raw>[^()\s]*)\(.*?\)(?P=raw)"
      | "(?:\\.|[^"\\\n])*"
      | (?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])*'""",
    re.VERBOSE | re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)


def _blank(match):
    """Spaces instead of what was matched: offsets and line numbers stay what they were."""
    return re.sub(r"[^\n]", " ", match.group())


class SourceFile:
    def __init__(self, path, text):
        self.path = path  # from the root, with forward slashes
        self.text = text

    @property
    def suffix(self):
        return os.path.splitext(self.path)[1]

    @property
    def is_cpp(self):
        return self.suffix in (".cc", ".h")

    @property
    def layer(self):
        """The folder of src/ it lies in, or None."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "src" and len(parts) > 2 else None

    @functools.cached_property
    def code(self):
        """C++ without its comments, literals and preprocessor lines."""
        return _DIRECTIVE.sub(_blank, _COMMENT_OR_LITERAL.sub(_blank, self.text))

    @property
    def includes(self):
        """(line number, what stands in the brackets or quotes) of each #include."""
        for number, line in enumerate(self.text.splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', line)
            if match:
                yield number, match.group(1) or match.group(2)

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1


class SourceTree:
    def __init__(self, root):
        self.root = root
        self.files = sorted(self._read(), key=lambda file: file.path)

    def _read(self):
        for folder, folders, names in os.walk(self.root):
            folders[:] = [
                name
                for name in folders
                if name not in _SKIPPED_FOLDERS and (name in _KEPT_HIDDEN or not name.startswith("."))
            ]
            for name in names:
                if name.startswith(".") and name not in _KEPT_HIDDEN:
                    continue
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    continue
                with open(path, "rb") as file:
                    content = file.read()
                if b"\0" not in content:
                    relative = os.path.relpath(path, self.root).replace(os.sep, "/")
                    yield SourceFile(relative, content.decode("utf-8", errors="replace"))

    @property
    def cpp(self):
        return [file for file in self.files if file.is_cpp]

    def under(self, *folders):
        return [file for file in self.files if file.path.split("/")[0] in folders]

    def find(self, path):
        return next((file for file in self.files if file.path == path), None)
