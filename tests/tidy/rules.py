"""The rules for source files. Each takes a SourceTree and yields findings."""

import collections
import fnmatch
import re

from functions import cpp_functions, python_functions

# `measure` is what a length rule counted, so that an exception can name a limit of its own.
Finding = collections.namedtuple("Finding", "rule path line message measure", defaults=(None,))

# A layer includes itself and those before it.
LAYERS = ("base", "net", "wire", "store", "disk", "feed", "serve", "cluster", "admin", "cli")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 80


def layer_order(tree):
    for file in tree.under("src"):
        if file.layer and file.layer not in LAYERS:
            yield Finding("layer-order", file.path, 1, f"src/{file.layer} is not a layer")
            continue
        for line, included in file.includes if file.layer and file.is_cpp else ():
            other = included.split("/")[0]
            if "/" in included and other in LAYERS and LAYERS.index(other) > LAYERS.index(file.layer):
                yield Finding("layer-order", file.path, line, f"{file.layer} must not include {included}")


_SOCKET_HEADERS = re.compile(
    r"^(?:sys/(?:socket|epoll|un|uio|eventfd|select)\.h|s?poll\.h|netdb\.h|arpa/.*|netinet/.*|linux/io_uring\.h)$"
)
# Names that nothing else has are found however they are called, the others only as ::name(.
_SOCKET_CALLS = re.compile(
    r"(?:(?<![\w.:>])|(?<![\w>]::)(?<=::))"
    r"(?:accept4|epoll_\w+|getaddrinfo|getpeername|getsockname|getsockopt|recv|recvfrom|recvmm?sg|sendmm?sg"
    r"|sendto|setsockopt|socketpair)\s*\("
    r"|(?<![\w>])::(?:accept|bind|connect|listen|poll|readv|send|shutdown|socket|writev)\s*\("
)


def sockets_only_in_net(tree):
    for file in tree.under("src"):
        # A test may stand on the other side of a socket.
        if not file.is_cpp or file.layer == "net" or file.path.endswith("_test.cc"):
            continue
        for line, included in file.includes:
            if _SOCKET_HEADERS.match(included):
                yield Finding("sockets-only-in-net", file.path, line, f"includes <{included}>")
        for match in _SOCKET_CALLS.finditer(file.code):
            yield Finding("sockets-only-in-net", file.path, file.line_of(match.start()), f"calls {match.group()}")


def asio_only_in_net(tree):
    for file in tree.under("src"):
        if not file.is_cpp or file.layer == "net":
            continue
        for line, included in file.includes:
            if included.startswith("boost/") or included.startswith("asio") or included == "net/asio_io.h":
                yield Finding("asio-only-in-net", file.path, line, f"includes {included}")
        for match in re.finditer(r"\bboost::(?:asio::)?|\basio::", file.code):
            yield Finding("asio-only-in-net", file.path, file.line_of(match.start()), f"names {match.group()}")


def file_length(tree):
    for file in tree.under("src", "bench", "tests"):
        lines = file.text.count("\n")
        if file.suffix in (".cc", ".h", ".py", ".js") and lines > MAX_FILE_LINES:
            message = f"{lines} lines, the limit is {MAX_FILE_LINES}"
            yield Finding("file-length", file.path, 1, message, lines)


def _functions(file):
    if file.is_cpp:
        for name, start, end in cpp_functions(file.code):
            yield name, file.line_of(start), file.line_of(end)
    elif file.suffix == ".py":
        yield from python_functions(file.text)


def function_length(tree):
    for file in tree.under("src", "bench", "tests"):
        for name, first, last in _functions(file):
            lines = last - first + 1
            if lines > MAX_FUNCTION_LINES:
                message = f"{name} has {lines} lines, the limit is {MAX_FUNCTION_LINES}"
                yield Finding("function-length", file.path, first, message, lines)


_BANNED_CALLS = re.compile(
    r"(?:(?<![\w.:>])|\bstd::|(?<![\w>])::)"
    r"(atof|atoi|atol|atoll|popen|rand|random_shuffle|sprintf|srand|strcat|strcpy|strtok|system|tmpnam|vsprintf)\s*\("
)


def banned_calls(tree):
    for file in tree.cpp:
        for match in _BANNED_CALLS.finditer(file.code):
            yield Finding("banned-calls", file.path, file.line_of(match.start()), f"calls {match.group(1)}")


# A constructor that is private cannot be reached by make_unique: the pointer is owned within the expression.
_OWNED_AT_ONCE = re.compile(r"unique_ptr<[^;]*\bnew\b")


def raw_new(tree):
    for file in tree.under("src"):
        for match in re.finditer(r"(?<!\boperator )\bnew\b\s*[\w:(\[]", file.code) if file.is_cpp else ():
            statement = re.split(r"[;{}]", file.code[: match.start()])[-1] + "new"
            if not _OWNED_AT_ONCE.search(statement):
                yield Finding("raw-new", file.path, file.line_of(match.start()), "new without an owner")


def throw_only_in_cli(tree):
    for file in tree.under("src"):
        for match in re.finditer(r"\bthrow\b", file.code) if file.is_cpp and file.layer != "cli" else ():
            yield Finding("throw-only-in-cli", file.path, file.line_of(match.start()), "throws: return a Result")


# Written so that this line is no marker itself.
_MARKERS = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b")


def left_over_markers(tree):
    for file in tree.files:
        for number, line in enumerate(file.text.splitlines(), 1):
            match = _MARKERS.search(line)
            if match:
                yield Finding("left-over-markers", file.path, number, match.group())


def pragma_once(tree):
    for file in tree.cpp:
        if file.suffix == ".h" and not re.search(r"^#pragma once$", file.text, re.MULTILINE):
            yield Finding("pragma-once", file.path, 1, "a header without #pragma once")


def built_sources(tree):
    """Each source and each test in Python is named in the CMakeLists.txt beside it, or matched by a pattern there."""
    for file in tree.under("src", "bench", "tests"):
        if file.suffix != ".cc" and not file.path.endswith("_test.py"):
            continue
        folder, _, name = file.path.rpartition("/")
        lists = tree.find(f"{folder}/CMakeLists.txt")
        words = re.split(r'[\s()"]+', re.sub(r"#.*", "", lists.text)) if lists else []
        stem = name.removesuffix(".cc")
        # foreach(x a b) with ${x}.cc: the stem stands in the list of values.
        in_a_loop = stem in words and "foreach" in words
        if not in_a_loop and not any(fnmatch.fnmatch(name, _as_pattern(word)) for word in words):
            built_elsewhere = any(
                other.path.endswith("CMakeLists.txt") or other.path.endswith(".cmake")
                for other in tree.files
                if file.path in other.text
            )
            if not built_elsewhere:
                yield Finding("built-sources", file.path, 1, f"nothing in {folder}/CMakeLists.txt uses it")


def _as_pattern(word):
    """`${name}_fuzz.cc` matches what a loop over names makes of it."""
    word = word.rsplit("/", 1)[-1]
    if not word.endswith((".cc", ".py")):
        return ""
    return re.sub(r"\$\{\w+\}", "?*", word)


def dead_headers(tree):
    """Each header is included somewhere."""
    included = {name for file in tree.cpp for _, name in file.includes}
    names = {name.rsplit("/", 1)[-1] for name in included if "/" not in name or name.startswith("../")}
    for file in tree.under("src", "bench", "tests"):
        if file.suffix == ".h" and file.path.removeprefix("src/") not in included:
            if file.path.rsplit("/", 1)[-1] not in names:
                yield Finding("dead-headers", file.path, 1, "no file includes it")


# Places that exist on one machine only, and hosts of package registries and mirrors.
_PRIVATE = re.compile(
    r"/wor[k]/|/home/\w+/"
    r"|\b(?:registry|deb|ftp|snapshot|security|pypi|files|index|static|proxy|mirror)\.[a-z.-]*"
    r"(?:npmjs|yarnpkg|debian|pythonhosted|crates|golang|ubuntu)\b"
    r"|\bpypi\.org\b"
)


def private_words(tree):
    for file in tree.files:
        for number, line in enumerate(file.text.splitlines(), 1):
            match = _PRIVATE.search(line)
            if match:
                yield Finding("private-words", file.path, number, f"names {match.group()}")
