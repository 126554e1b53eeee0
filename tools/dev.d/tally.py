#!/usr/bin/env python3
"""Adds up test results: tally.py RESULTS_DIR... prints the failures and `N passed, N failed`.

Each folder holds ctest.xml (ctest --output-junit) and a <name>.xml (--gtest_output) for each
GoogleTest binary. A binary counts as its test cases; any other ctest entry counts as one. A binary
that crashed wrote no file, and counts as one failure. Exit status: 0 all passed, 1 not.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def gtest_cases(path):
    """(passed, [names of failed cases]) of one GoogleTest report, or None when there is none."""
    if not path.exists():
        return None
    passed, failed = 0, []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.get("status") == "notrun":  # a real peer that is not installed; it must not go unseen
            print(f"NOT RUN {case.get('classname')}.{case.get('name')}")
            continue
        if case.find("failure") is not None:
            failed.append(f"{case.get('classname')}.{case.get('name')}")
        else:
            passed += 1
    return passed, failed


def main(folders):
    passed, failed = 0, []
    for folder in map(pathlib.Path, folders):
        junit = folder / "ctest.xml"
        if not junit.exists():
            failed.append(f"{folder.name}: no results were written")
            continue
        entries = list(ElementTree.parse(junit).getroot().iter("testcase"))
        if not entries:
            failed.append(f"{folder.name}: no tests were found")
        for entry in entries:
            name, ok = entry.get("name"), entry.get("status") == "run"
            cases = gtest_cases(folder / f"{name}.xml")
            if cases is None:
                cases = (1, []) if ok else (0, [name])
            elif not ok and not cases[1]:
                cases = (cases[0], ["(the binary failed after its last test case)"])
            passed += cases[0]
            failed += [f"{folder.name}: {name}: {case}" for case in cases[1]]
    for name in failed:
        print(f"FAILED {name}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
