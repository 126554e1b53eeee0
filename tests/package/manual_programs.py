#!/usr/bin/env python3
"""manual_programs.py SOURCE FOLDER: the programs that README.md and docs/*.md show, each as a file in FOLDER.

A program is a block marked `cpp` that has a main. Those of docs/rpc.md are not among them: manual_walk.py builds them in
the way it says there.
"""

import pathlib
import re
import sys

source, folder = map(pathlib.Path, sys.argv[1:])
folder.mkdir(parents=True)
BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pages = [source / "README.md", *sorted((source / "docs").glob("*.md"))]
for page in pages:
    if page.name == "rpc.md":
        continue
    for number, text in enumerate(BLOCK.findall(page.read_text()), 1):
        if re.search(r"^int main\(", text, re.MULTILINE):
            (folder / f"{page.stem.lower()}_{number}.cc").write_text(text)
