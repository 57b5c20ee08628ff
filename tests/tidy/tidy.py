"""Style that a test can check. Prints what it finds as path:line: rule: message; ends with 1 if that is anything.

    tidy.py [ROOT]

exceptions.txt lists what may stay, each with its reason. It is a ratchet: an exception that is no longer needed
is a finding too, so the list only gets shorter.
"""

import os
import sys

import documentation
import rules
from rules import Finding
from source_tree import SourceTree

EXCEPTIONS = "tests/tidy/exceptions.txt"
RULES = (
    rules.layer_order,
    rules.sockets_only_in_net,
    rules.asio_only_in_net,
    rules.file_length,
    rules.function_length,
    rules.banned_calls,
    rules.raw_new,
    rules.throw_only_in_cli,
    rules.left_over_markers,
    rules.pragma_once,
    rules.built_sources,
    rules.dead_headers,
    rules.private_words,
    documentation.documented_paths,
    documentation.documented_names,
)


def _exceptions(tree):
    """(rule, path) -> (line, limit or None), from lines of the form: rule path[=limit] reason."""
    found = {}
    problems = []
    file = tree.find(EXCEPTIONS)
    for number, line in enumerate(file.text.splitlines() if file else (), 1):
        words = line.split(None, 2)
        if not words or line.startswith("#"):
            continue
        if len(words) < 3:
            problems.append(Finding("exceptions", EXCEPTIONS, number, "an exception needs a rule, a path, a reason"))
            continue
        path, _, limit = words[1].partition("=")
        found[words[0], path] = (number, int(limit) if limit else None)
    return found, problems


def check(root):
    """Every finding in the tree at `root`, those that exceptions.txt allows left out."""
    tree = SourceTree(root)
    exceptions, findings = _exceptions(tree)
    used = set()
    for rule in RULES:
        for finding in rule(tree):
            key = (finding.rule, finding.path)
            if key in exceptions:
                used.add(key)
                limit = exceptions[key][1]
                if limit is None or finding.measure is None or finding.measure <= limit:
                    continue
            findings.append(finding)
    for (rule, path), (line, _) in exceptions.items():
        if (rule, path) not in used:
            findings.append(Finding("exceptions", EXCEPTIONS, line, f"{path} no longer needs an exception from {rule}"))
    return findings


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "..")
    findings = check(os.path.abspath(root))
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.rule}: {finding.message}")
    print(f"tidy: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
