#!/usr/bin/env python3
"""Compiles the inner loops of the integer kernels for every level, disassembles them, and checks what came out.

In the loop of every kernel look-ups, multiplications and additions must be exactly as many as the primitives write. In
the kernels that must_fit() names, which are those that time is spent in, no vector may be spilled: nothing with a
vector register touches the stack. Prints instructions per weight, of the whole loop, and what is spilled or copied
between registers; fails if anything is violated. Levels that this CPU cannot run are no different. Where a compiler or
disassembler is not installed this is said; it is a failure if --level or --compiler asked for it, as CI does, or if
nothing is left.

A row STRIPSxCOLUMNS is an instance of runtime/gemm/multiply.hpp; N bits is how codes are stored, with s: a table per
strip of rows, k: their weights are kept, 8p: kept weights (runtime/gemm/decoded.hpp). "conv" is run_channels of
runtime/conv/worker.hpp: CHANNELSx4 vectors of positions, per product only.
Of amx_int8 there are the loops of tiles alone, STRIPSxTILES of runtime/gemm/tiles.hpp and for "conv" TILESx4 of
runtime/conv/tiles.hpp, 16 channels each; all else is that of avx512vnni_vbmi.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# Level: bytes of a vector, whether codes are looked up, which promises about the weights have code of their own.
LEVELS = {
    "sse2": (16, False, ["any_weight"]),
    "sse4_1": (16, True, ["any_weight"]),
    "avx2": (32, True, ["any_weight"]),
    "avxvnni": (32, True, ["any_weight"]),
    "avx512bw": (64, True, ["any_weight"]),
    "avx512vnni_vbmi": (64, True, ["any_weight"]),
    "amx_int8": (64, True, ["any_weight"]),
    "neon64": (16, True, ["any_weight", "small_weight"]),
    "neon64_dotprod": (16, True, ["any_weight"]),
    "neon64_i8mm": (16, True, ["any_weight"]),
}


# Groups of four weights per row and step, by how codes are stored (runtime/layout.hpp); 8 bits are decoded weights.
GROUPS = {"2": 4, "3": 8, "4": 2, "6": 4, "8": 2}

# Levels where one instruction multiplies and adds.
ADDING = ("avxvnni", "avx512vnni_vbmi", "neon64_dotprod", "neon64_i8mm")

# Spills that are known, at most so many; what is not here has none.
KNOWN = {
    ("clang++-14", "avxvnni", "4", 4, 2): 6,
    ("g++", "neon64_dotprod", "4", 4, 4): 4,
}


def kinds_of(level):
    """How codes may be stored: bits, or 4s for 4 bits with a table per strip."""
    if not LEVELS[level][1]:
        return ["8"]
    kinds = ["2", "3", "4", "4s"] + (["6"] if level in ("avx512vnni_vbmi", "amx_int8") else [])
    return kinds + ["8"] + ([codes + "k" for codes in kinds] + ["8p"] if level == "avx512vnni_vbmi" else [])


def must_fit(level, codes, promise, strips, columns):
    """Matrix times vector at every level, matrix times matrix and convolution where one instruction multiplies and
    adds; 4 bits or decoded; with the strongest promise about tables, one per weight."""
    adds = level in ADDING
    if level == "amx_int8":
        return codes in ("4", "8", "conv")
    if codes == "conv":
        return adds
    return strips > 1 and codes in ("4", "8", "4k", "8p") and promise == LEVELS[level][2][-1] and (columns == 1 or adds)


def expected(level, codes, promise, strips, columns):
    """Instructions of one step that do the work; mnemonics without their leading v and element sizes."""
    if level == "amx_int8" and codes == "conv":  # four sums of 16 channels by 16 positions
        return {"tdpbsud": 4}
    if level == "amx_int8":  # of a part; a compiler may unroll the steps of it or not
        return {"tdpbssd": strips * columns}
    if codes == "conv":  # four taps times so many channels and vectors of positions
        dots = strips * columns
        if level in ADDING:
            return {"sdot" if level.startswith("neon") else "pdpbusd": dots}
        if level == "neon64":  # two taps in a vector of positions, as int16
            return {"smull": 4 * dots, "addp": 2 * dots, "add": 2 * dots}
        return {"pmaddwd": 2 * dots, "paddd": 2 * dots}
    groups = GROUPS[codes[0]]
    dots = groups * strips * columns
    count = {}

    def add(**more):
        for name, n in more.items():
            count[name] = count.get(name, 0) + n

    neon = level.startswith("neon")
    if codes[0] != "8":
        if neon:
            add(tbl=groups * strips)
        elif level == "avx512vnni_vbmi" and "s" not in codes:
            add(permb=groups * strips)
        else:
            add(pshufb=groups * strips)
    if level in ("avxvnni", "avx512vnni_vbmi"):
        add(pdpbusd=dots)
    elif level == "neon64_i8mm" and columns % 2 == 0:  # two rows times two columns, eight positions
        add(zip1=groups // 2 * strips, zip2=groups // 2 * strips, smmla=dots // 2)
    elif level in ("neon64_dotprod", "neon64_i8mm"):
        add(sdot=dots)
    elif level == "neon64":
        add(smull=2 * dots, addp=dots)
        add(**({"sadalp": dots} if promise == "small_weight" else {"saddlp": 2 * dots, "add": dots}))
    elif LEVELS[level][1]:  # weights of negative activations are inverted
        add(pmaddubsw=dots, pmaddwd=dots, paddd=dots, **{"pxord" if level == "avx512bw" else "pxor": dots})
    else:
        add(pmaddwd=2 * dots, paddd=2 * dots)
    return count


NAME = re.compile(r"multiply_strips<.*?simd::(\w+), .*?(?:packed_codes<(\d), .*?(one_table|line_tables)>|decoded_weights"
                  r"|decoded_part).*?, .*?(any_weight|small_weight), (\d), (\d+)>")
TILES = re.compile(r"multiply_tiles<.*?simd::(\w+), .*?(?:packed_codes<(\d), .*?(one_table|line_tables)>|decoded_weights"
                   r"), (\d), (\d)>")
CONV = re.compile(r"conv_worker<.*?::run_channels<(\d+), 1>")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(?:\{\w+\} )?(\S+)\s*(.*)$")
VECTOR = re.compile(r"\b([xyzt]mm\d+|[vq]\d+(\.\w+)?)\b")


def functions(text):
    """((codes, promise, strips, columns), [(address, mnemonic, operands)]) of every kernel."""
    found, body = [], None
    for line in text.splitlines():
        if line.endswith(">:"):
            match, conv, tiles = NAME.search(line), CONV.search(line), TILES.search(line)
            body = [] if match or conv or tiles else None
            if conv:
                channels = int(conv[1])
                found.append((("conv", "any_weight", channels if channels < 16 else channels // 16, 4), body))
            elif tiles:
                codes = (tiles[2] or "8") + ("s" if tiles[3] == "line_tables" else "")
                found.append(((codes, "any_weight", int(tiles[4]), int(tiles[5])), body))
            elif match:
                codes = (match[2] or "8") + ("s" if match[3] == "line_tables" else "")
                codes += "k" if "kept_codes<" in match[0] else "p" if "decoded_part" in match[0] else ""
                found.append(((codes, match[4], int(match[5]), int(match[6])), body))
        elif body is not None:
            match = LINE.match(line)
            if match:
                body.append((int(match[1], 16), match[2], match[3]))
    return found


def stripped(mnemonic):
    """vpaddd -> paddd, smull2 -> smull, 'tbl' as it is."""
    return re.sub(r"^(smull|saddlp)2$", r"\1", mnemonic[1:] if mnemonic.startswith("vp") else mnemonic)


def inner_loop(body, work):
    """The instructions of the loop with the most work per instruction: jumps back that hold no other such jump."""
    best, most = [], 0.0
    addresses = [a for a, _, _ in body]
    for end, (address, mnemonic, operands) in enumerate(body):
        if not re.match(r"j|b\.|cbn?z|tbn?z", mnemonic):
            continue
        target = re.search(r"\b([0-9a-f]+) <", operands)
        if not target or int(target[1], 16) > address or int(target[1], 16) not in addresses:
            continue
        loop = body[addresses.index(int(target[1], 16)):end + 1]
        share = sum(stripped(m) in work for _, m, _ in loop) / len(loop)
        if share > most:
            best, most = loop, share
    return best


def is_vector(operands):
    return bool(VECTOR.search(operands))


def check(compiler, level, kernel, body):
    """A row of the table, and what is wrong."""
    codes, promise, strips, columns = kernel
    work = expected(level, codes, promise, strips, columns)
    loop = inner_loop(body, [*work, "tileloadd"])
    frame = r"\[(rsp|sp" + ("|rbp" if any(o == "rbp,rsp" for _, _, o in body) else "") + r")\b"
    spills = [f"{m} {o}" for _, m, o in loop if is_vector(o) and re.search(frame, o)]
    copies = [f"{m} {o}" for _, m, o in loop
              if re.match(r"v?mov(dq|ap|up)|mov$", m) and len(re.findall(VECTOR, o)) == 2 and "[" not in o]
    counts = {}
    for _, m, o in loop:
        if is_vector(o):
            counts[stripped(m)] = counts.get(stripped(m), 0) + 1
    main = max(work, key=work.get)
    steps = max(1, round(counts.get(main, 0) / work[main]))  # the compiler may unroll
    problems = [] if loop else ["no loop"]
    allowed = KNOWN.get((compiler, level, codes, strips, columns), 0)
    if must_fit(level, codes, promise, strips, columns) and len(spills) > allowed:
        problems += [f"spilled: {s}" for s in spills]
    for name, n in work.items():
        if counts.get(name, 0) != n * steps:
            problems.append(f"{name}: {counts.get(name, 0)} instead of {n * steps} in {steps} steps")
    # Where every second part has other sums a branch of its own has their products, but none of the loads; of a loop in
    # pieces that jump to each other one may be taken.
    loads = strips + (columns if codes != "conv" else columns // strips)
    if level == "amx_int8" and counts.get("tileloadd", 0) > loads:
        problems.append(f"tileloadd: {counts['tileloadd']} instead of {loads}")
    vector = LEVELS[level][0]
    if codes == "conv":
        products = steps * (4 * 16 ** 2 * 64 if level == "amx_int8" else strips * columns * vector)
        per_weight = " " * 18
    else:
        tiles = level == "amx_int8"
        weights = strips * vector * (16 if tiles else steps * GROUPS[codes[0]])
        products = weights * columns * (16 if tiles else 1)
        per_weight = f"{len(loop) / weights:7.4f} per weight"
    mix = " ".join(f"{n} {name}" for name, n in work.items())
    row = (f"{compiler:10} {level:15} {codes + ' bits' if codes != 'conv' else codes:7} {promise:12} {strips}x{columns}  {per_weight}"
           f" {len(loop) / products:7.4f} per product  spilled {len(spills):2} copied {len(copies):2}  {mix}")
    return row, problems


def flags_of(level):
    for line in open(os.path.join(TOP, "cmake/LutraLevels.cmake"), encoding="ascii"):
        match = re.match(r"set\(LUTRA_FLAGS_" + level + r" (.*)\)", line)
        if match:
            return match[1].split()
    raise SystemExit(f"assembly: cmake/LutraLevels.cmake has no flags of {level}")


def run(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"assembly: {' '.join(command)} failed:\n{result.stderr}")
    return result.stdout


def tools(level, compiler):
    """How the compiler is called, and the disassembler."""
    if not level.startswith("neon"):
        return [compiler], "objdump"
    if "clang" in compiler:
        return [compiler, "--target=aarch64-linux-gnu"], "aarch64-linux-gnu-objdump"
    return ["aarch64-linux-gnu-" + compiler, "-Wno-psabi"], "aarch64-linux-gnu-objdump"


def missing(level, compiler):
    """The tools that are not installed. clang for aarch64 takes the C++ library of the cross g++."""
    command, objdump = tools(level, compiler)
    wanted = [command[0], objdump] + (["aarch64-linux-gnu-g++"] if level.startswith("neon") else [])
    return [tool for tool in dict.fromkeys(wanted) if not shutil.which(tool)]


def disassembled(level, compiler, source, flags, folder):
    command, objdump = tools(level, compiler)
    out = os.path.join(folder, f"{level}-{compiler}.o")
    xsimd = os.path.join(TOP, ".deps/root/usr/include")
    run(command + flags_of(level) + flags + ["-std=c++20", "-O3", "-DNDEBUG", "-I" + os.path.join(TOP, "include")]
        + (["-isystem", xsimd] if os.path.exists(xsimd) else []) + ["-c", source, "-o", out])
    intel = [] if level.startswith("neon") else ["-M", "intel"]
    return run([objdump, "-dC", "--no-show-raw-insn", *intel, out])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--level", action="append", choices=LEVELS, help="default: all")
    arguments.add_argument("--compiler", action="append", help="default: g++ and clang++-14")
    arguments.add_argument("--source", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernels.cpp"))
    arguments.add_argument("--flag", action="append", default=[], help="further flags of the compiler: --flag=-O2")
    arguments.add_argument("--all", action="store_true", help="print every kernel, not only what must fit")
    options = arguments.parse_args()
    jobs = [(level, compiler) for compiler in options.compiler or ["g++", "clang++-14"]
            for level in options.level or LEVELS]
    absent = {job: missing(*job) for job in jobs}
    for (level, compiler), gone in absent.items():
        if gone:
            print(f"{compiler:10} {level:15} not available: no {', '.join(gone)}")
    jobs = [job for job in jobs if not absent[job]]
    asked = options.level or options.compiler
    wrong = sum(map(bool, absent.values())) if asked or not jobs else 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda job: disassembled(*job, options.source, options.flag, folder), jobs)
        for (level, compiler), text in zip(jobs, texts):
            kernels = functions(text)
            wanted = {(codes, promise) for codes in kinds_of(level) for promise in LEVELS[level][2]}
            wanted.add(("conv", "any_weight"))
            if {kernel[:2] for kernel, _ in kernels} != wanted:
                print(f"VIOLATED {compiler} {level}: the kernels are not those of {sorted(wanted)}")
                wrong += 1
            for kernel, body in sorted(kernels, key=lambda found: found[0]):
                row, problems = check(compiler, level, kernel, body)
                if options.all or problems or must_fit(level, *kernel):
                    print(row)
                for problem in problems:
                    print(f"    VIOLATED {problem}")
                wrong += len(problems)
    print(f"assembly: {wrong} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
