// How a run came about: commit and changes, versions, machine, and the command line that trains the same again.
import { clipped } from "../../protocol/text/clip.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createTwoFilesPatch } from "diff";
import { writeRunFileSync } from "../../files/runFiles.ts";
import { distFolder } from "../../files/shipped.ts";
import { findExecutable } from "../../processes/programs.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import {
  COMMAND_LIMIT,
  MODEL_LIMIT,
  PATCH_LIMIT,
  PROVENANCE_FILE,
  type Provenance,
} from "../../protocol/history/provenance.ts";
import type { RunRecord } from "../../protocol/run.ts";
import { headOf, isPackage } from "../host/versions.ts";

/** Most characters of a file whose changes are kept, and most files. */
const LARGEST_FILE = 256 * 1024;
const MOST_FILES = 200;

/** A run's sources: texts by absolute path. */
export type Sources = ReadonlyMap<string, string>;

/**
 * The commit that a run's sources are of, and their changes since: in the file, and in imports that the commit has.
 * Others may be secret, or lie outside of the repository. Undefined where git doesn't answer.
 */
export function gitFacts(file: string, sources: Sources): Promise<Provenance["git"]> {
  if (last === undefined || last.file !== file || !haveSameTexts(last.sources, sources))
    last = { file, sources, facts: changesSince(file, sources).catch(() => undefined) };
  return last.facts;
}

/**
 * The facts of this process's last run. The next trial of a sweep is most often of the same texts, which that commit and those
 * changes still give, whatever was committed since. Starting git stops a process with TensorFlow in it for some 20 ms.
 */
let last: { file: string; sources: Sources; facts: Promise<Provenance["git"]> } | undefined;

const haveSameTexts = (a: Sources, b: Sources): boolean =>
  a.size === b.size && [...a].every(([file, text]) => b.get(file) === text);

async function changesSince(file: string, sources: Sources): Promise<Provenance["git"]> {
  const git = findExecutable(["git"]);
  if (git === undefined) return undefined;
  const own = [...sources].filter(([source]) => !isPackage(source)).slice(0, MOST_FILES);
  const head = await headOf(
    git,
    file,
    own.map(([source]) => source),
  );
  const folder = path.dirname(file);
  const omitted: string[] = [];
  let patch = "";
  for (const [source, text] of own) {
    if (head.same(source, text)) continue;
    const name = path.relative(folder, source).replaceAll(path.sep, "/");
    const known = source === file || head.has(source);
    const before = await head.text(source);
    const one =
      !known || Math.max(before.length, text.length) > LARGEST_FILE
        ? undefined
        : createTwoFilesPatch(`a/${name}`, `b/${name}`, before, text, undefined, undefined, {
            timeout: TIMEOUT,
          });
    if (one === undefined || patch.length + one.length > PATCH_LIMIT) omitted.push(name.slice(0, 1000));
    else patch += one;
  }
  return { commit: head.commit, patch, ...(omitted.length === 0 ? {} : { omitted }) };
}

/** Milliseconds for the comparison of two texts: those without a common line take quadratic time. */
const TIMEOUT = 500;

/** Facts at a run's beginning, for {@link keepProvenance}. */
export interface Beginning {
  request: RunRequest;
  record: RunRecord;
  git: Provenance["git"];
  /** The printed model. */
  model: string;
}

/** Writes how a run came about into its directory. */
export function keepProvenance(directory: string, { request, record, git, model }: Beginning): void {
  const [cpu] = os.cpus();
  const provenance: Provenance = {
    version: 1,
    command: commandOf(request, record),
    ...(git === undefined ? {} : { git }),
    versions: {
      Layerwise: ownVersion(),
      Node: process.version,
      ...(record.executor === undefined ? {} : { Backend: record.executor.version }),
    },
    machine: {
      system: `${os.type()} ${os.release()} ${os.arch()}`,
      processor: cpu?.model.trim() ?? "",
      cores: os.availableParallelism(),
      memory: os.totalmem(),
    },
    ...(model.length > MODEL_LIMIT ? {} : { model }),
  };
  writeRunFileSync(directory, PROVENANCE_FILE, `${JSON.stringify(provenance, null, 1)}\n`);
}

/** The command line for the same training. */
export function commandOf(request: RunRequest, record: Pick<RunRecord, "seed" | "hyperparameters">): string {
  const { file, exportName, device, epochs, checkpoint, watch } = request;
  const target = exportName === "default" ? file : `${file}#${exportName}`;
  const options: (string | number)[] = [
    ...(device === "auto" ? [] : ["--device", device]),
    ...(record.seed === undefined ? [] : ["--seed", record.seed]),
    ...(epochs === undefined ? [] : ["--epochs", epochs]),
    ...(checkpoint === undefined ? [] : ["--checkpoint", checkpoint]),
    ...(watch === true ? ["--watch"] : []),
    ...Object.entries(record.hyperparameters ?? {}).flatMap(([name, value]) => [
      "--set",
      `${name}=${String(value)}`,
    ]),
  ];
  const command = ["layerwise", "train", target, ...options].map((word) => quoted(String(word))).join(" ");
  const of =
    request.version === undefined || request.version === request.directory
      ? ""
      : // The name of a folder may have a line break, after which a shell would run the rest.
        `  # with the version that run ${plainLine(path.basename(request.version))} has kept`;
  return clipped(command + of, COMMAND_LIMIT - 1);
}

/** A word of a POSIX shell. */
const quoted = (word: string): string =>
  /^[\w./:=#@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;

function ownVersion(): string {
  const dist = distFolder();
  const manifest =
    dist === undefined
      ? new URL("../../../package.json", import.meta.url)
      : path.join(dist, "..", "package.json");
  try {
    return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
  } catch {
    return "";
  }
}
