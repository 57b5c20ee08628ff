"""Runs the table's scenarios against every kind of bucket: engine_test.py [--list | --markdown] [NAME ...]

NAME is a scenario, a variant, or both as scenario/variant; without one, everything runs.
"""

import concurrent.futures
import os
import sys
import time
import traceback

from harness import EVICT, RESTART, VARIANTS, Engine, Host
from table import SCENARIOS

WORKERS = int(os.environ.get("BOBBIN_ENGINE_WORKERS", "4"))


def fits(scenario, variant):
    wanted = scenario.variants
    if wanted is None:
        return True
    return variant.persistent if wanted == "persistent" else variant.name in wanted


class Course:
    """One scenario on its way through a host."""

    def __init__(self, scenario, host):
        self.scenario = scenario
        self.engine = Engine(scenario.name, host)
        self.steps = scenario.run(self.engine)
        self.wants = None
        self.failure = None
        self.restarted = False
        self.done = False

    def advance(self):
        """To its next event; a scenario that fails is over, the others of its host go on."""
        try:
            self.wants = next(self.steps)
            self.restarted |= self.wants == RESTART
        except StopIteration:
            self._end(None if self.restarted else "has no restart")
        except Exception:  # whatever a scenario raises is its failure
            self._end(traceback.format_exc())

    def _end(self, failure):
        self.failure = failure
        self.done = True
        self.engine.close()


def run_together(scenarios, variant):
    """Runs scenarios on one server, side by side: one eviction and one restart serve all that want them."""
    started = time.monotonic()
    courses = []
    trouble = None
    try:
        host = Host(variant, scenarios[0].alone)
        try:
            courses = [Course(scenario, host) for scenario in scenarios]
            _drive(courses, host)
        finally:
            host.close()
    except Exception:  # the server's end is part of the test
        trouble = traceback.format_exc()
    results = [(f"{course.scenario.name}/{variant.name}", course.failure or (None if course.done else trouble)) for course in courses]
    if trouble and all(failure is None for _, failure in results):
        results.append((f"server of {scenarios[0].name}/{variant.name}", trouble))
    return results, time.monotonic() - started


def _drive(courses, host):
    for course in courses:
        course.advance()
    while any(not course.done for course in courses):
        waiting = [course for course in courses if not course.done and course.wants == EVICT]
        if waiting:
            host.evict()
        else:
            host.restart()
            waiting = [course for course in courses if not course.done]
        for course in waiting:
            course.advance()


def jobs(names):
    """Lists of scenarios that share a server, with their variant; the long ones first."""
    shared, alone = [], []
    for variant in VARIANTS:
        chosen = [
            scenario
            for scenario in SCENARIOS
            if fits(scenario, variant)
            and (not names or names & {scenario.name, variant.name, f"{scenario.name}/{variant.name}"})
        ]
        together = [scenario for scenario in chosen if scenario.alone is None]
        if together:
            shared.append((together, variant))
        alone += [([scenario], variant) for scenario in chosen if scenario.alone is not None]
    return shared + alone


def markdown():
    lines = ["| scenario | what it shows | where |", "| --- | --- | --- |"]
    for scenario in SCENARIOS:
        where = scenario.variants or "everywhere"
        where = where if isinstance(where, str) else ", ".join(where)
        lines.append(f"| `{scenario.name}` | {scenario.about} | {where} |")
    return "\n".join(lines) + "\n"


def check_readme():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")
    with open(path, encoding="utf-8") as readme:
        if markdown() in readme.read():
            return []
    return [("README.md", "its table is not that of engine_test.py --markdown")]


def main(arguments):
    if "--list" in arguments:
        for scenario in SCENARIOS:
            print(f"{scenario.name:28} {scenario.about}")
        return 0
    if "--markdown" in arguments:
        print(markdown(), end="")
        return 0
    names = {argument for argument in arguments if not argument.startswith("-")}
    work = jobs(names)
    if not work:
        print("no such scenario")
        return 1
    results = check_readme() if not names else []
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(run_together, *job) for job in work]
        for future, (scenarios, variant) in zip(futures, work):
            found, seconds = future.result()
            results += found
            title = scenarios[0].name if len(scenarios) == 1 else f"{len(scenarios)} scenarios"
            print(f"{title} on {variant.name}: {seconds:.1f} s", flush=True)
    failures = [(name, failure) for name, failure in results if failure]
    for name, failure in failures:
        print(f"\nFAILED {name}\n{failure}")
    print(f"{len(SCENARIOS)} scenarios, {len(results)} runs, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
