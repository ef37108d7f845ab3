// Reads mutated files of every format, each in a process with limits of time and memory.
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { inRoot } from "../../scripts/project.mjs";
import { corpus } from "./corpus.ts";
import { Draws } from "./mutations.ts";
import { type Outcome, type Reader, ReaderProcess } from "./readerProcess.ts";

export interface FuzzOptions {
  files: number;
  seed: number;
  /** Ends earlier. */
  seconds?: number;
  /** Kinds of files whose names contain this text. */
  kind?: string;
  /** Called with each failure. */
  onFailure?: (failure: Failure) => void;
}

export interface Failure extends Outcome {
  /** The kind of file, and the seed that draws this very one. */
  what: string;
  seed: number;
  reader: Reader;
  /** Where the file is kept. */
  kept: string;
}

/** Outcomes of the files of a kind. */
export interface Tally {
  files: number;
  read: number;
  refused: number;
  failures: number;
  /** Of the slowest. */
  milliseconds: number;
}

/** @returns the outcomes of the files, by kind */
export async function fuzz(
  options: FuzzOptions,
): Promise<{ tallies: Map<string, Tally>; failures: Failure[] }> {
  const { files, seed, seconds = Infinity, kind = "" } = options;
  const kinds = Object.entries(corpus()).filter(([name]) => name.includes(kind));
  const tallies = new Map<string, Tally>();
  const failures: Failure[] = [];
  const reader = new ReaderProcess();
  const folder = fs.mkdtempSync(path.join(tmpdir(), "layerwise-fuzz-"));
  const end = performance.now() + 1000 * seconds;
  try {
    for (let i = 0; i < files && performance.now() < end; i++) {
      const [what, draw] = kinds[i % kinds.length]!;
      const own = (seed + i) >>> 0;
      const { readers, files: content } = draw(new Draws(own));
      for (const name of fs.readdirSync(folder)) fs.rmSync(path.join(folder, name));
      for (const [name, bytes] of Object.entries(content)) fs.writeFileSync(path.join(folder, name), bytes);
      const file = path.join(folder, Object.keys(content)[0]!);
      const tally = tallies.get(what) ?? { files: 0, read: 0, refused: 0, failures: 0, milliseconds: 0 };
      tallies.set(what, tally);
      tally.files++;
      let worst: Outcome["kind"] = "refused";
      for (const one of readers) {
        const outcome = await reader.read(one, file);
        tally.milliseconds = Math.max(tally.milliseconds, outcome.milliseconds);
        if (outcome.kind === "read" && worst === "refused") worst = "read";
        if (outcome.kind === "read" || outcome.kind === "refused") continue;
        worst = outcome.kind;
        const kept = keep(folder, `${own}`);
        const failure: Failure = { ...outcome, what, seed: own, reader: one, kept };
        failures.push(failure);
        options.onFailure?.(failure);
      }
      if (worst === "read") tally.read++;
      else if (worst === "refused") tally.refused++;
      else tally.failures++;
    }
  } finally {
    reader.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  return { tallies, failures };
}

function keep(folder: string, name: string): string {
  const kept = inRoot("out", "fuzz", "failures", name);
  fs.cpSync(folder, kept, { recursive: true });
  return kept;
}
