"""Collects Microsoft 365 audit records by the WASM component: records go to a file, one a line, and
the state to another. Kill it whenever you like, and start it again: nothing is lost.

    pip install -r requirements.txt
    python3 collect.py m365_audit.wasm config.json records.ndjson state.json
"""
import json
import os
import sys
import time

from wasmtime import Config, Engine, Store, Trap, WasiConfig, WasmtimeError
from wasmtime import component
from wasmtime.component import Record, Variant

INTERFACE = "m365-audit:source/source@0.1.0"
# Instances in a row that may fail before somebody has to look.
FAILURES_MAX = 5

LIMITS = {"max-records": 10_000, "max-bytes": 1 << 20, "deadline-ms": 10_000}


def record(fields):
    made = Record()
    made.__dict__.update(fields)
    return made


class Component:
    """The component, ready to make instances of."""

    def __init__(self, path):
        self.engine = Engine(Config())
        self.compiled = component.Component.from_file(self.engine, path)
        self.linker = component.Linker(self.engine)
        self.linker.add_wasip2()
        self.linker.add_wasi_http()


class Source:
    """One instance of the component."""

    def __init__(self, made_of):
        self.store = Store(made_of.engine)
        self.store.set_wasi(WasiConfig())
        self.store.set_wasi_http()
        self.instance = made_of.linker.instantiate(self.store, made_of.compiled)
        self.interface = self.instance.get_export_index(self.store, INTERFACE)

    def poll(self, *arguments):
        """An answer, or a failure, which has a cause. A trap is raised."""
        index = self.instance.get_export_index(self.store, "poll", self.interface)
        answer = self.instance.get_func(self.store, index)(self.store, *arguments)
        return answer.payload if isinstance(answer, Variant) else answer


def load(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="ascii") as file:
        return json.load(file)


def save(path, state):
    """Replaces the file in one step, so that it is whole whatever happens."""
    with open(path + ".new", "w", encoding="ascii") as file:
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def end_line(output):
    """A kill may have left half a line. Its record comes again: it must not be glued to that."""
    if output.seek(0, os.SEEK_END) > 0:
        output.seek(-1, os.SEEK_END)
        if output.read(1) != b"\n":
            output.write(b"\n")


def poll(made_of, source, config, state, resume):
    """One call, of a fresh instance if there is none, which begins with what is stored."""
    try:
        if source is None:
            source = Source(made_of)
            entries = [record({"key": key, "value": value}) for key, value in state.items()]
            resume = Variant("stored", entries)
        return source, source.poll(config, resume, record(LIMITS))
    except (Trap, WasmtimeError) as trap:
        return source, record({"cause": "trap", "message": str(trap), "notes": []})


def main(component_path, config_path, output_path, state_path):
    with open(config_path, encoding="utf-8") as file:
        config = file.read()
    state = load(state_path)
    made_of = Component(component_path)
    source, failures = None, 0
    with open(output_path, "ab+") as output:
        end_line(output)
        while True:
            source, answer = poll(made_of, source, config, state, Variant("committed"))
            for note in answer.notes:
                if note.level != "debug":
                    print(note.level, note.code, note.message, file=sys.stderr)
            if hasattr(answer, "cause"):
                print(f"{answer.cause}: {answer.message}", file=sys.stderr)
                if answer.cause in ("trap", "state-required"):
                    # Nothing may be asked of that instance again. A fresh one goes on from what is
                    # stored.
                    source, failures = None, failures + 1
                    if failures >= FAILURES_MAX:
                        return 1
                    wait = (failures - 1) * 1_000
                elif answer.cause in ("auth", "throttled", "transient"):
                    wait = getattr(answer, "retry-after-ms") or 60_000
                else:
                    return 1
            else:
                failures = 0
                # First the records, then the state: only that acknowledges them.
                output.write(answer.ndjson.encode())
                output.flush()
                os.fsync(output.fileno())
                for change in answer.changes:
                    if change.value is None:
                        state.pop(change.key, None)
                    else:
                        state[change.key] = change.value
                if answer.changes:
                    save(state_path, state)
                if answer.finished is not None:
                    return 0 if answer.finished == "complete" else 2
                wait = 0 if answer.more else getattr(answer, "wait-ms")
            time.sleep(wait / 1000)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
