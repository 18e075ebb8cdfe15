"""Collects Microsoft 365 audit records by the WASM component: records go to a file, one a line, and
the state to another. Kill it whenever you like, and start it again: nothing is lost.

    pip install -r requirements.txt
    python3 collect.py m365_audit.wasm config.json records.ndjson state.json
"""
import json
import os
import sys
import time

from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Record, Variant

INTERFACE = "m365-audit:source/source@0.1.0"
LIMITS = {"max-records": 10_000, "max-bytes": 1 << 20, "deadline-ms": 10_000}


def record(fields):
    made = Record()
    made.__dict__.update(fields)
    return made


class Source:
    """One instance of the component."""

    def __init__(self, path):
        engine = Engine(Config())
        self.store = Store(engine)
        self.store.set_wasi(WasiConfig())
        self.store.set_wasi_http()
        linker = Linker(engine)
        linker.add_wasip2()
        linker.add_wasi_http()
        self.instance = linker.instantiate(self.store, Component.from_file(engine, path))
        self.interface = self.instance.get_export_index(self.store, INTERFACE)

    def call(self, name, *arguments):
        index = self.instance.get_export_index(self.store, name, self.interface)
        return self.instance.get_func(self.store, index)(self.store, *arguments)


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


def main(component, config_path, output_path, state_path):
    with open(config_path, encoding="utf-8") as file:
        config = file.read()
    state = load(state_path)
    source = Source(component)
    entries = [record({"key": key, "value": value}) for key, value in state.items()]
    resume = Variant("stored", entries)
    with open(output_path, "ab") as output:
        while True:
            answer = source.call("poll", config, resume, record(LIMITS))
            failed = not hasattr(answer.payload if isinstance(answer, Variant) else answer, "ndjson")
            answer = answer.payload if isinstance(answer, Variant) else answer
            for note in answer.notes:
                if note.level != "debug":
                    print(note.level, note.code, note.message, file=sys.stderr)
            if failed:
                print(f"{answer.cause}: {answer.message}", file=sys.stderr)
                if answer.cause not in ("auth", "throttled", "transient"):
                    return 1
                wait = getattr(answer, "retry-after-ms") or 60_000
            else:
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
            resume = Variant("committed")
            time.sleep(wait / 1000)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
