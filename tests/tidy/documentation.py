"""The rules for documentation: what it names exists."""

import glob
import os
import re

from rules import LAYERS, Finding

_FOLDERS = {"src", "docs", "tests", "bench", "script", "cmake", ".ci", *LAYERS}
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_BACKTICKS = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"^[\w.*-]+(?:/[\w.*-]+)*/?$")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_COMMAND = re.compile(r"^\s*(?:\$ )?(?:bash )?((?:script|bench|tests|\.ci)/[\w./-]+)", re.MULTILINE)
_MEMBER = re.compile(r"^([A-Z]\w+)::(\w+)(?:\(.*\))?$")


def _documents(tree):
    return [file for file in tree.files if file.suffix == ".md"]


def _exists(tree, path, *folders):
    patterns = (os.path.join(tree.root, folder, path) for folder in folders)
    return any(glob.glob(pattern) for pattern in patterns)


def _looks_like_a_path(token):
    if not _PATH.match(token):
        return False
    return token.split("/")[0] in _FOLDERS if "/" in token else bool(re.search(r"\w\.md$|^CMake\w+\.\w+$", token))


def documented_paths(tree):
    """Paths in backticks and commands in code blocks, from the root, from src/ or from the document's folder;
    the targets of links, from the document's folder."""
    for file in _documents(tree):
        here = os.path.dirname(file.path)

        def missing(match, path, file=file):
            return Finding("documented-paths", file.path, file.line_of(match.start(1)), f"{path} does not exist")

        prose = _FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), file.text)
        for match in _BACKTICKS.finditer(prose):
            path = match.group(1)
            if _looks_like_a_path(path) and not _exists(tree, path, "", "src", here):
                yield missing(match, path)
        for match in _LINK.finditer(prose):
            path = match.group(1)
            if not re.match(r"\w+:", path) and not _exists(tree, path, here):
                yield missing(match, path)
        for block in _FENCE.finditer(file.text):
            for match in _COMMAND.finditer(file.text, block.start(), block.end()):
                if not _exists(tree, match.group(1), ""):
                    yield missing(match, match.group(1))


def documented_names(tree):
    """`Class::member` in backticks: some file in src/ has both names."""
    code = [set(re.findall(r"\w+", file.code)) for file in tree.under("src") if file.is_cpp]
    for file in _documents(tree):
        for match in _BACKTICKS.finditer(file.text):
            member = _MEMBER.match(match.group(1))
            if member and not any(set(member.groups()) <= words for words in code):
                line = file.line_of(match.start())
                yield Finding("documented-names", file.path, line, f"src/ has no {match.group(1)}")
