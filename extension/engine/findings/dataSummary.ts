import { loadExecutor } from "../../executors/index.ts";
import { WeightedRandomSampler } from "../../nn/data/sampler.ts";
import {
  MAX_LISTED_CLASSES,
  MAX_LISTED_COLUMNS,
  type DataRequest,
  type DataSplit,
  type DataSummary,
} from "../../protocol/dataSummary.ts";
import type { UserError } from "../../protocol/errors.ts";
import type { Finding } from "../../protocol/findings.ts";
import { findExperiment } from "../host/exports.ts";
import { library } from "../host/library.ts";
import { loadLimit } from "../host/loadLimit.ts";
import { loadUserModule } from "../host/userModule.ts";
import type { Watchdog } from "../host/watchdog.ts";
import { randomSeed } from "../resume/startingWeights.ts";
import { prepare, type Prepared } from "../training/prepare.ts";
import { classesOf, dataFindings, duplicatesOf, type Duplicates } from "./dataRules.ts";
import { rangeOf } from "./statistics.ts";
import { readSplits, type Part, type Split } from "./splits.ts";

/** Describes the data of an experiment, which is prepared but not trained. @param fail Told when the file's code hangs */
export async function describeData(
  { file, exportName, device, seed }: DataRequest,
  watchdog: Watchdog,
  fail: (error: UserError) => void,
): Promise<DataSummary> {
  await loadExecutor(device);
  const module = await watchdog.guard(loadLimit(file, fail), () => loadUserModule(file, { library }));
  const { experiment } = findExperiment(module, exportName);
  return summaryOf(await prepare(experiment, seed ?? experiment.options.seed ?? randomSeed()));
}

export function summaryOf(prepared: Prepared): DataSummary {
  const splits = readSplits(prepared, false);
  const duplicates = duplicatesOf(splits);
  const train = splits.find(({ name }) => name === "train");
  const names = columnNames(prepared);
  const counts = splits.map((split) => classesOf(split, prepared.loss));
  const known = new Set(counts.flatMap((one) => [...(one?.keys() ?? [])]));
  const classes = [...known].sort((a, b) => a - b).slice(0, MAX_LISTED_CLASSES);
  return {
    splits: splits.map((split, i) => describeSplit(split, duplicates, counts[i], classes)),
    tensors: train === undefined ? [] : tensorsOf(train, names),
    ...(classes.length === 0
      ? {}
      : { classes: classes.map((one) => prepared.classes?.[one] ?? String(one)) }),
    findings: findingsOf(prepared, splits, duplicates),
  };
}

/** What the data of a training shows, as far as it can be read without calling the user's code. */
export function findingsInData(prepared: Prepared): { findings: Finding[]; splits: Split[] } {
  const splits = readSplits(prepared, true);
  return { findings: findingsOf(prepared, splits, duplicatesOf(splits)), splits };
}

function findingsOf(prepared: Prepared, splits: readonly Split[], duplicates: Duplicates): Finding[] {
  const { loss, train } = prepared;
  const weights = [Reflect.get(loss ?? {}, "weight"), Reflect.get(loss ?? {}, "posWeight")];
  const weighted =
    weights.some((one) => one !== null && one !== undefined) ||
    train.sampler instanceof WeightedRandomSampler ||
    train.batchSampler;
  return dataFindings(splits, { loss, weighted, names: columnNames(prepared), duplicates });
}

function columnNames({ train }: Prepared): readonly string[] | undefined {
  const names: unknown = Reflect.get(train.source, "featureNames");
  return Array.isArray(names) ? (names as readonly string[]) : undefined;
}

function describeSplit(
  { name, samples, read }: Split,
  { repeated, inTraining }: Duplicates,
  counts: ReadonlyMap<number, number> | undefined,
  classes: readonly number[],
): DataSplit {
  const copied = inTraining.get(name);
  return {
    name,
    ...(samples === undefined ? {} : { samples }),
    read,
    repeated: repeated.get(name) ?? 0,
    ...(copied === undefined ? {} : { inTraining: copied }),
    ...(counts === undefined ? {} : { classes: classes.map((one) => counts.get(one) ?? 0) }),
  };
}

function tensorsOf({ inputs, target }: Split, names: readonly string[] | undefined): DataSummary["tensors"] {
  const describe = (part: Part, role: "input" | "target"): DataSummary["tensors"][number] => {
    const table = role === "input" && part.shape.length === 1 && part.size > 1;
    const count = Math.min(part.size, MAX_LISTED_COLUMNS);
    return {
      role,
      dtype: part.dtype,
      shape: [...part.shape],
      range: rangeOf(part.values),
      ...(table
        ? {
            columns: Array.from({ length: count }, (_, i) => ({
              name: (names?.length === part.size ? names[i] : undefined) ?? String(i),
              range: rangeOf(part.values, i, part.size),
            })),
          }
        : {}),
    };
  };
  return [
    ...inputs.map((part) => describe(part, "input")),
    ...(target === undefined ? [] : [describe(target, "target")]),
  ];
}
