// Schema of a file of a training's state, checked before use: its names become paths, its numbers limits of loops.
// Tensors and the states of optimizers, schedules and measures are checked by those that take them.
import * as v from "valibot";
import { firstIssue } from "../../files/json.ts";
import { CheckpointRecord, MetricValue } from "../../protocol/run.ts";
import { KERNELS_OVER } from "../../tensor/recording/policy.ts";
import { FORMAT, VERSION, type TrainingState } from "./trainingState.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const values = v.record(v.string(), MetricValue);
const dict = v.custom<object>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
);
const generators = v.array(v.instance(Uint8Array));
/** The file omits undefined fields. */
const absent = <T extends v.GenericSchema>(
  schema: T,
): v.OptionalSchema<v.NullableSchema<T, undefined>, undefined> => v.optional(v.nullable(schema));

const Kept = v.object({ file: CheckpointRecord.entries.file, value: MetricValue, epoch: count, step: count });

const State = v.object({
  epoch: count,
  completed: count,
  batch: count,
  accumulated: count,
  step: count,
  samples: count,
  seconds: v.pipe(v.number(), v.finite(), v.minValue(0)),
  metrics: values,
  validation: values,
  validatedIn: count,
  earlyStopping: absent(v.object({ best: v.nullable(MetricValue), waited: count })),
  gradients: v.object({ kept: v.boolean(), probation: count }),
  /** Not in files from before December 1, 2026: then the first graphs after resuming are compiled. */
  compiled: v.optional(v.array(v.string())),
  /** Not in files from before December 2, 2026, of trainings that were compiled from the first step on. */
  kernelWork: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), KERNELS_OVER),
  /** Not in files from before November 27, 2026, in which none was due. */
  checkpointDue: v.optional(v.boolean()),
  kept: v.array(Kept),
});

const Schema = v.object({
  format: v.literal(FORMAT),
  version: v.literal(VERSION),
  state: State,
  numbers: v.object({ epochMeans: dict, stepMeans: dict, measurement: dict }),
  stop: absent(v.object({ by: v.string(), reason: v.string() })),
  validationDue: v.boolean(),
  callbacks: v.array(v.unknown()),
  model_state_dict: dict,
  frozen: v.array(v.string()),
  evaluating: v.optional(v.array(v.string())),
  optimizers: v.record(
    v.string(),
    v.object({ state_dict: v.object({ state: dict, param_groups: v.array(dict) }), exact: dict }),
  ),
  schedulers: v.array(dict),
  gradients: dict,
  generators: v.object({ epoch: generators, now: generators }),
  facts: v.object({
    seed: v.number(),
    epochs: count,
    model: v.string(),
    experiment: v.string(),
    source: v.string(),
    executor: v.string(),
    node: v.string(),
    savedAt: v.string(),
  }),
});

/** Checks a state that was read from a file. @throws Error saying what is wrong with it */
export function stateOf(file: string, read: unknown): TrainingState {
  const { format, version } = (
    typeof read === "object" && read !== null ? read : {}
  ) as Partial<TrainingState>;
  if (format !== FORMAT || version !== VERSION)
    throw new Error(`${file} is no state of a training that this version knows`);
  const checked = firstIssue(Schema, read);
  if (checked.success) return read as TrainingState;
  const [issue] = checked.issues;
  throw new Error(`${file} is no state of a training: ${v.getDotPath(issue) ?? "it"}: ${issue.message}`);
}
