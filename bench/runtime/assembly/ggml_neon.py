#!/usr/bin/env python3
"""Instructions per 4-bit weight of matrix times vector on aarch64: ours beside ggml's of IQ4_NL, its dot product and,
at the levels that it has it for (dotprod and on), its kernel for four rows at once.

Counts everything in the inner loops as g++ compiles them, at each NEON level. ggml's sources come with
scripts/peers.sh; without them or the cross tools it says "not available". Fails if ours takes more than 0.8 times
either of ggml's: counts only, no CPU at hand runs them.
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


# What is counted of ggml: name, source and compiler, function, levels that have it.
PEERS = (
    ("dot product", "quants.c", "gcc", "ggml_vec_dot_iq4_nl_q8_0", ("neon64", "neon64_dotprod", "neon64_i8mm")),
    ("four rows", "repack.cpp", "g++", "ggml_gemv_iq4_nl_4x4_q8_0", ("neon64_dotprod", "neon64_i8mm")),
)


def count_of_ggml(level, peer, folder):
    _, source, compiler, function, _ = peer
    out = os.path.join(folder, f"{level}-{source}.o")
    check.run(["aarch64-linux-gnu-" + compiler, *check.flags_of(level), "-O3", "-DNDEBUG", "-w"]
              + ["-I" + os.path.join(GGML, part) for part in ("include", "src", "src/ggml-cpu")]
              + ["-c", os.path.join(GGML, "src/ggml-cpu/arch/arm", source), "-o", out])
    body, inside = [], False
    for line in check.run(["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", out]).splitlines():
        if line.endswith(">:"):
            inside = re.search(rf" <\S*{function}\S*>:$", line) is not None
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
            ours, weights = count_of_ours(level, folder)
            if not weights:
                raise SystemExit(f"{level}: no loop with look-ups")
            print(f"{level:15} ours: {ours} for {weights} weights, {ours / weights:.3f} each")
            for peer in (p for p in PEERS if level in p[-1]):
                theirs, peer_weights = count_of_ggml(level, peer, folder)
                if not peer_weights:
                    raise SystemExit(f"{level}: ggml's {peer[0]}: no loop with look-ups")
                ratio = ours / weights / (theirs / peer_weights)
                wrong += ratio > GOAL
                print(f"{level:15} ggml, {peer[0]}: {theirs} for {peer_weights}, {theirs / peer_weights:.3f} each; ours "
                      f"{ratio:.3f}x, goal <= {GOAL}: " + ("missed" if ratio > GOAL else "met"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
