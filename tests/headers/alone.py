#!/usr/bin/env python3
"""alone.py CLANG [FLAG...] - compiles every header of include/lutra alone, for less than one by one.

A header's own code always comes after everything that it includes. So for the question whether it stands alone the
headers in it may as well come precompiled, one of them with all that is in that: the one that reaches most. That one is
compiled alone itself, on top of another, and so on down to those that include none of ours. What a header sees is what
it includes, no more.
"""
import concurrent.futures
import functools
import os
import re
import subprocess
import sys
import tempfile

INCLUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include")


def included(header):
    """What a header includes whatever the flags: lines outside any #if."""
    depth = 0
    names = []
    with open(os.path.join(INCLUDE, header), encoding="utf-8") as text:
        for line in text:
            if re.match(r"\s*#\s*if", line):
                depth += 1
            elif re.match(r"\s*#\s*endif", line):
                depth -= 1
            elif depth == 0 and (found := re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)):
                names.append(found[1])
    return names


@functools.lru_cache(None)
def reached(header):
    """All headers of ours in a header, and the others that these name."""
    names = set()
    for name in included(header):
        names.add(name)
        if name.startswith("lutra/"):
            names |= reached(name)
    return frozenset(names)


def main():
    command = sys.argv[1:]
    headers = sorted(os.path.relpath(os.path.join(folder, name), INCLUDE)
                     for folder, _, names in os.walk(os.path.join(INCLUDE, "lutra"))
                     for name in names if name.endswith(".hpp"))
    below = {}  # header: the one that comes precompiled, or None
    for header in headers:
        ours = [name for name in reached(header) if name.startswith("lutra/")]
        below[header] = max(ours, key=lambda name: (len(reached(name)), name), default=None)
    needed = set(below.values())

    with tempfile.TemporaryDirectory() as work:
        def path(header, suffix):
            return os.path.join(work, header.replace("/", "__") + suffix)

        def compile_alone(header):
            source = path(header, "")  # a file of one line: in the main file #pragma once is a warning
            with open(source, "w", encoding="utf-8") as text:
                text.write(f"#include <{header}>\n")
            # Templates are instantiated where they are used first, not again on top.
            call = command + ["-I" + INCLUDE] + (
                ["-x", "c++-header", "-fpch-instantiate-templates", source, "-o", path(header, ".pch")]
                if header in needed else ["-fsyntax-only", "-x", "c++", source])
            # clang 14 loses some macros that are precompiled in one file and used on top of another: what fails
            # there must fail again by itself.
            for base in ([["-include-pch", path(below[header], ".pch")]] if below[header] else []) + [[]]:
                result = subprocess.run(call + base, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True,
                                        check=False)
                if result.returncode == 0:
                    break
                fallbacks.append(header)
            return result

        users = {header: [] for header in headers}
        ready = []
        for header in headers:
            users[below[header]].append(header) if below[header] else ready.append(header)
        status = 0
        fallbacks = []
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            running = {pool.submit(compile_alone, header): header for header in ready}
            done = 0
            while running:
                finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    header, result = running.pop(future), future.result()
                    if result.returncode == 0:
                        done += 1
                        for user in users[header]:
                            running[pool.submit(compile_alone, user)] = user
                    else:
                        print(result.stdout, f"FAILED: {header}", sep="", file=sys.stderr)
                        status = 1
    if status == 0 and done != len(headers):
        print(f"FAILED: {done} of {len(headers)} headers compiled", file=sys.stderr)
        status = 1
    if status == 0:
        print(f"headers: {done} compile alone with {' '.join(command[:1])}, {len(needed - {None})} of them precompiled, "
              f"{len(fallbacks)} twice")
    sys.exit(status)


main()
