#!/usr/bin/env python3
"""manual_programs.py SOURCE FOLDER: the programs that README.md and docs/*.md show, each as a file in FOLDER.

A program is a block marked `cpp` that has a main; a block marked `proto` that is a whole file lies beside it, named after
its package.
"""

import pathlib
import re
import sys

source, folder = map(pathlib.Path, sys.argv[1:])
folder.mkdir(parents=True)
BLOCK = re.compile(r"^```(cpp|proto)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

for page in [source / "README.md", *sorted((source / "docs").glob("*.md"))]:
    for number, (language, text) in enumerate(BLOCK.findall(page.read_text()), 1):
        package = re.search(r"^package (\w+)", text, re.MULTILINE)
        if language == "cpp" and re.search(r"^int main\(", text, re.MULTILINE):
            (folder / f"{page.stem.lower()}_{number}.cc").write_text(text)
        elif language == "proto" and text.startswith("syntax") and package:
            (folder / f"{package[1]}.proto").write_text(text)
