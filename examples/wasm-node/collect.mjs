// Collects Microsoft 365 audit records by the WASM component: records go to a file, one a line, and
// the state to another. Kill it whenever you like, and start it again: nothing is lost.
//
//     npm install && npm run transpile -- ../../target/component/m365_audit.wasm
//     node collect.mjs config.json records.ndjson state.json

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { WASIShim } from "@bytecodealliance/preview2-shim/instantiation";

const LIMITS = { maxRecords: 10_000, maxBytes: 1 << 20, deadlineMs: 10_000 };

// Instances in a row that may fail before somebody has to look.
const FAILURES_MAX = 5;

const [configPath, outputPath, statePath] = process.argv.slice(2);
const component = process.env.COMPONENT ?? path.join(import.meta.dirname, "component");
const { instantiate } = await import(pathToFileURL(path.join(component, "component.js")));
// No files and no environment for the component.
const wasi = new WASIShim({ sandbox: { preopens: {}, env: {}, args: [] } });
const config = fs.readFileSync(configPath, "utf8");
const output = fs.openSync(outputPath, "a+");
const state = new Map(
  fs.existsSync(statePath) ? Object.entries(JSON.parse(fs.readFileSync(statePath, "utf8"))) : [],
);

// A kill may have left half a line. Its record comes again: it must not be glued to that half.
function endLine() {
  const { size } = fs.fstatSync(output);
  const last = Buffer.alloc(1);
  if (size > 0 && fs.readSync(output, last, 0, 1, size - 1) === 1 && last[0] !== 10) {
    fs.writeFileSync(output, "\n");
  }
}

// Replaces the file in one step, so that it is whole whatever happens.
function save() {
  fs.writeFileSync(`${statePath}.new`, JSON.stringify(Object.fromEntries(state)), { flush: true });
  fs.renameSync(`${statePath}.new`, statePath);
}

function show(notes) {
  for (const { level, code, message } of notes) {
    if (level !== "debug") console.error(level, code, message);
  }
}

// One call; a failure comes back as an object with a cause. What is thrown is a trap.
function poll(source, resume) {
  try {
    return source.poll(config, resume, LIMITS);
  } catch (error) {
    if (error.payload?.cause === undefined) throw error;
    return error.payload;
  }
}

async function collect() {
  let source;
  let resume;
  let failures = 0;
  for (;;) {
    let answer;
    try {
      if (source === undefined) {
        ({ source } = await instantiate(undefined, wasi.getImportObject()));
        resume = { tag: "stored", val: [...state].map(([key, value]) => ({ key, value })) };
      }
      answer = poll(source, resume);
    } catch (error) {
      answer = { cause: "trap", message: error.stack ?? String(error), notes: [] };
    }
    show(answer.notes);
    let wait;
    if (answer.cause !== undefined) {
      console.error(`${answer.cause}: ${answer.message}`);
      if (["trap", "state-required"].includes(answer.cause)) {
        // Nothing may be asked of that instance again. A fresh one goes on from what is stored.
        source = undefined;
        failures += 1;
        if (failures >= FAILURES_MAX) return 1;
        wait = (failures - 1) * 1_000;
      } else if (["auth", "throttled", "transient"].includes(answer.cause)) {
        wait = answer.retryAfterMs ?? 60_000;
      } else {
        return 1;
      }
    } else {
      failures = 0;
      // First the records, then the state: only that acknowledges them.
      fs.writeFileSync(output, answer.ndjson);
      fs.fsyncSync(output);
      for (const { key, value } of answer.changes) {
        if (value === undefined) state.delete(key);
        else state.set(key, value);
      }
      if (answer.changes.length > 0) save();
      if (answer.finished !== undefined) return answer.finished === "complete" ? 0 : 2;
      wait = answer.more ? 0 : answer.waitMs;
    }
    resume = { tag: "committed" };
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

endLine();
// The worker that makes requests would keep the process alive.
process.exit(await collect());
