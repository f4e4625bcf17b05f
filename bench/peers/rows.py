"""The results of peers as the JSON of Google Benchmark, so that the ratio table can put them beside ours."""
import argparse
import json
import re
import sys
import time


class Rows:
    def __init__(self, options):
        self.rows = []
        self.options = options
        self.pattern = re.compile(options.filter)

    def wanted(self, name):
        """A filter that names our benchmark brings its peers along."""
        return bool(self.pattern.search(name) or self.pattern.search(name.split("/", 2)[-1]))

    def missing(self, name, reason="not available"):
        if self.wanted(name):
            self.rows.append({"name": name, "run_type": "iteration", "error_occurred": True, "error_message": reason})

    def add(self, name, function, elements, bytes_moved, repeats=7, slow=False, inertia=None):
        """Times function(), best of `repeats` (one if it takes over a second). slow: over 20 s, run on demand.
        inertia(result) is kept beside the time."""
        if not self.wanted(name):
            return
        if slow and not self.options.slow:
            self.missing(name, "takes over 20 s, runs with --peers-slow")
            return
        try:
            best, result = self.once(function)
            if best < 1:
                best = min(self.once(function)[0] for _ in range(repeats))
        except (ImportError, MemoryError) as problem:
            self.missing(name, f"not available ({problem})")
            return
        row = {
            "name": name, "run_name": name, "run_type": "iteration", "repetitions": 1, "threads": 1,
            "repetition_index": 0, "iterations": repeats, "real_time": best * 1e9, "cpu_time": best * 1e9,
            "time_unit": "ns", "items_per_second": elements / best, "bytes_per_second": bytes_moved / best}
        if inertia:
            row["inertia"] = inertia(result)
        self.rows.append(row)
        print(f"{name:70} {best * 1e3:12.3f} ms {best / elements * 1e9:9.3f} ns/element", file=sys.stderr)

    @staticmethod
    def once(function):
        # One thread: CPU time, as Google Benchmark counts it, is what other programs do not spoil.
        start = time.process_time()
        result = function()
        return time.process_time() - start, result

    def write(self, versions):
        text = json.dumps({"context": {**versions, "num_threads": 1}, "benchmarks": self.rows}, indent=1)
        if self.options.out:
            with open(self.options.out, "w", encoding="ascii") as file:
                file.write(text)
        else:
            print(text)


def parser(description):
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out")
    arguments.add_argument("--filter", default=".")
    arguments.add_argument("--slow", action="store_true", help="also what takes over 20 s")
    return arguments
