#!/usr/bin/env python3
"""Instructions per 4-bit weight of matrix times vector on aarch64: ours beside ggml's dot product of IQ4_NL.

Counts everything in the inner loops as g++ compiles them, at each NEON level. ggml's sources come with
scripts/peers.sh; without them or the cross tools it says "not available". Fails if ours takes more than 0.8 times
ggml's: counts only, no CPU at hand runs either.
"""
import os
import re
import sys
import tempfile

import check

GGML = os.path.join(check.TOP, ".deps/ggml/ggml")
GOAL = 0.8


def count_of_ours(level, folder):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernels.cpp")
    text = check.disassembled(level, "g++", source, [], folder)
    wanted = ("4", check.LEVELS[level][2][-1], 4, 1)
    for kernel, body in check.functions(text):
        if kernel == wanted:
            work = check.expected(level, *kernel)
            loop = check.inner_loop(body, work)
            return len(loop), 16 * sum(m == "tbl" for _, m, _ in loop)
    raise SystemExit(f"{level}: no kernel {wanted}")


def count_of_ggml(level, folder):
    out = os.path.join(folder, level + "-ggml.o")
    check.run(["aarch64-linux-gnu-gcc", *check.flags_of(level), "-O3", "-DNDEBUG", "-w"]
              + ["-I" + os.path.join(GGML, part) for part in ("include", "src", "src/ggml-cpu")]
              + ["-c", os.path.join(GGML, "src/ggml-cpu/arch/arm/quants.c"), "-o", out])
    body, inside = [], False
    for line in check.run(["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", out]).splitlines():
        if line.endswith(">:"):
            inside = line.endswith(" <ggml_vec_dot_iq4_nl_q8_0>:")
        match = check.LINE.match(line)
        if inside and match:
            body.append((int(match[1], 16), match[2], re.sub(r"\s*//.*", "", match[3])))
    loop = check.inner_loop(body, {"tbl": 1})
    return len(loop), 16 * sum(m == "tbl" for _, m, _ in loop)  # each looks up 16 weights


def main():
    if check.missing("neon64", "g++") or not os.path.exists(GGML):
        print("not available: the aarch64 cross tools and scripts/peers.sh are needed")
        return 0
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for level in (name for name in check.LEVELS if name.startswith("neon")):
            ours, theirs = count_of_ours(level, folder), count_of_ggml(level, folder)
            if not ours[1] or not theirs[1]:
                raise SystemExit(f"{level}: no loop with look-ups")
            ratio = ours[0] / ours[1] / (theirs[0] / theirs[1])
            wrong += ratio > GOAL
            print(f"{level:15} ours {ours[0]} for {ours[1]} weights, {ours[0] / ours[1]:.3f} each; ggml {theirs[0]} for "
                  f"{theirs[1]}, {theirs[0] / theirs[1]:.3f} each; {ratio:.2f}x, goal <= {GOAL}: "
                  + ("missed" if ratio > GOAL else "met"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
