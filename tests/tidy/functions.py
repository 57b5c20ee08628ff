"""Where functions begin and end, found by their braces: close enough to measure their length."""

import ast
import re

_NOT_A_FUNCTION = re.compile(r"^\s*(?:if|else|for|while|do|switch|catch|try)\b")
_SCOPE = re.compile(r"\b(?:namespace|class|struct|union|enum|extern)\b")
# What may stand between a parameter list and the body.
_FUNCTION_HEAD = re.compile(
    r"\)\s*(?:(?:const|noexcept|override|final|mutable|try|&&?|[A-Z_]{4,}(?:\([^()]*\))?|->[^{};]*"
    r"|requires[^{};]*|:[^{};]*\))\s*)*$"
)
_FUNCTION_NAME = re.compile(r"([~\w:]+)\s*\(")


def _matching_brace(code, start):
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, start):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    return len(code)


def cpp_functions(code):
    """(name, offset of the body's brace, offset of its end) of each function; `code` has no comments, literals
    and preprocessor lines. What lies inside a function (lambdas, local types) belongs to it."""
    head = ""
    position = 0
    for match in iter(lambda: re.compile(r"[{};]").search(code, position), None):
        head += code[position : match.start()]
        position = match.end()
        if match.group() != "{":
            head = ""
        elif _FUNCTION_HEAD.search(head) and not _NOT_A_FUNCTION.search(head):
            end = _matching_brace(code, match.start())
            name = _FUNCTION_NAME.search(head)
            yield (name.group(1) if name else "?"), match.start(), end
            position, head = end + 1, ""
        elif _SCOPE.search(head) and ")" not in head.rsplit("class", 1)[-1].rsplit("struct", 1)[-1]:
            head = ""
        else:
            # An initializer, of a variable or of a member in front of a constructor's body.
            position = _matching_brace(code, match.start()) + 1
            head += "()"


def python_functions(text):
    """(name, first line, last line) of each function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno
