/** Where a run comes from, and how two runs differ. */
import { structuredPatch, type StructuredPatchHunk } from "diff";
import { FOREIGN_TOOL_NAMES } from "../../../extension/protocol/history/foreignRun.ts";
import type { RunRecord } from "../../../extension/protocol/run.ts";
import type { RunHistory } from "../../../extension/protocol/views.ts";
import { formatBytes, formatCount } from "../../shared/format.ts";
import { historyStrings as text } from "../../shared/strings/history.ts";
import { direction } from "../curves.ts";

/** Lines around a change. */
const CONTEXT = 3;
/** Milliseconds for a comparison: texts without a common line take quadratic time. */
const TIMEOUT = 300;

export interface TextChange {
  file: string;
  change: "added" | "removed" | "changed";
  /** Undefined if the comparison took too long. */
  hunks: readonly StructuredPatchHunk[] | undefined;
}

/** Files of two runs that differ. */
export function codeChanges(before: RunHistory, now: RunHistory): TextChange[] {
  const [old, fresh] = [filesOf(before), filesOf(now)];
  return [...new Set([...fresh.keys(), ...old.keys()])].flatMap((file): TextChange[] => {
    const [from, to] = [old.get(file), fresh.get(file)];
    if (from === to) return [];
    const change = from === undefined ? "added" : to === undefined ? "removed" : "changed";
    return [{ file, change, hunks: hunksOf(from ?? "", to ?? "") }];
  });
}

const filesOf = ({ file, source, imports }: RunHistory): Map<string, string> =>
  new Map([...(source === undefined ? [] : [[file, source] as const]), ...Object.entries(imports)]);

export const hunksOf = (from: string, to: string): readonly StructuredPatchHunk[] | undefined =>
  structuredPatch("", "", from, to, undefined, undefined, { context: CONTEXT, timeout: TIMEOUT })?.hunks;

/** Settings and origins of two runs that differ: name, value before, value now. */
export function settingChanges(before: RunHistory, now: RunHistory): [string, string, string][] {
  const [old, fresh] = [factsOf(before), factsOf(now)];
  return [...new Set([...fresh.keys(), ...old.keys()])].flatMap((name): [string, string, string][] => {
    const [from = "–", to = "–"] = [old.get(name), fresh.get(name)];
    return from === to ? [] : [[name, from, to]];
  });
}

function factsOf({ run, provenance }: RunHistory): Map<string, string> {
  const { git, versions = {}, machine } = provenance ?? {};
  const facts: [string, string | number | undefined][] = [
    [text.facts.model, run.model],
    [text.facts.exportName, run.exportName],
    [text.facts.seed, run.seed],
    [text.facts.epochs, run.epochs],
    [text.facts.parameters, run.parameters && formatCount(run.parameters.total)],
    ...Object.entries(run.settings).map(([name, value]): [string, string] => [name, String(value)]),
    [text.facts.commit, git?.commit.slice(0, 12)],
    ...Object.entries(versions),
    [text.facts.processor, machine?.processor],
    [text.facts.system, machine?.system],
  ];
  return new Map(facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])));
}

/** The last value of each metric in both runs. */
export function metricPairs(
  before: RunRecord,
  now: RunRecord,
): { name: string; from: number | undefined; to: number | undefined; better: boolean | undefined }[] {
  const names = new Set([...Object.keys(now.metrics), ...Object.keys(before.metrics)]);
  return [...names].map((name) => {
    const [from, to] = [before.metrics[name], now.metrics[name]];
    const way = direction(name);
    const better =
      way === undefined || !Number.isFinite(from) || !Number.isFinite(to) || from === to
        ? undefined
        : way === "lower"
          ? to! < from!
          : to! > from!;
    return { name, from, to, better };
  });
}

/** Names and values, in their order. */
export function originRows({ provenance, run: { imported } }: RunHistory): [name: string, value: string][] {
  if (imported !== undefined)
    return [
      [text.tool, FOREIGN_TOOL_NAMES[imported.tool]],
      [text.path, imported.path],
    ];
  if (provenance === undefined) return [];
  const { command, git, versions, machine } = provenance;
  return [
    [text.command, command],
    ...(git === undefined
      ? []
      : [
          [text.commit, `${git.commit.slice(0, 12)}, ${text.patched(patchedFiles(git))}`] satisfies [
            string,
            string,
          ],
        ]),
    ...Object.entries(versions),
    [text.system, machine.system],
    [text.processor, text.cores(machine.processor, machine.cores)],
    [text.memory, formatBytes(machine.memory)],
  ];
}

const patchedFiles = ({
  patch,
  omitted = [],
}: NonNullable<NonNullable<RunHistory["provenance"]>["git"]>): number =>
  patch.split("\n").filter((line) => line.startsWith("+++ ")).length + omitted.length;
