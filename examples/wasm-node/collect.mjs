// Collects Microsoft 365 audit records by the WASM component: records go to a file, one a line, and
// the state to another. Kill it whenever you like, and start it again: nothing is lost.
//
//     npm install && npm run transpile -- ../../target/component/m365_audit.wasm
//     node collect.mjs config.json records.ndjson state.json

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const LIMITS = { maxRecords: 10_000, maxBytes: 1 << 20, deadlineMs: 10_000 };

const [configPath, outputPath, statePath] = process.argv.slice(2);
const component = process.env.COMPONENT ?? path.join(import.meta.dirname, "component");
const { source } = await import(pathToFileURL(path.join(component, "component.js")));
const config = fs.readFileSync(configPath, "utf8");
const output = fs.openSync(outputPath, "a");
const state = new Map(
  fs.existsSync(statePath) ? Object.entries(JSON.parse(fs.readFileSync(statePath, "utf8"))) : [],
);

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

// One call; a failure comes back as an object with a cause.
function poll(resume) {
  try {
    return source.poll(config, resume, LIMITS);
  } catch (error) {
    if (error.payload?.cause === undefined) throw error;
    return error.payload;
  }
}

async function collect() {
  const entries = [...state].map(([key, value]) => ({ key, value }));
  let resume = { tag: "stored", val: entries };
  for (;;) {
    const answer = poll(resume);
    show(answer.notes);
    let wait;
    if (answer.cause !== undefined) {
      console.error(`${answer.cause}: ${answer.message}`);
      if (!["auth", "throttled", "transient"].includes(answer.cause)) return 1;
      wait = answer.retryAfterMs ?? 60_000;
    } else {
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

// The worker that makes requests would keep the process alive.
process.exit(await collect());
