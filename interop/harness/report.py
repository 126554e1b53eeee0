"""The report of a GoogleTest binary, which tools/dev.d/tally.py adds up."""

import xml.etree.ElementTree as ElementTree


def write_xml(path, suite_name, outcomes):
    """`outcomes` have name, seconds, message, required, and the status "passed", "failed" or
    "not run"."""
    suites = ElementTree.Element("testsuites", name=suite_name)
    suite = ElementTree.SubElement(suites, "testsuite", name=suite_name)
    for outcome in outcomes:
        left_out = outcome.status == "not run" and not outcome.required
        entry = ElementTree.SubElement(
            suite, "testcase", classname=suite_name, name=outcome.name, time=str(outcome.seconds),
            status="notrun" if left_out else "run")
        if outcome.status != "passed" and not left_out:
            ElementTree.SubElement(entry, "failure", message=outcome.message)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(suites).write(path)
