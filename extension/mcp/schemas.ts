import * as v from "valibot";
import { Device } from "../protocol/device.ts";
import { FINDING_RULES, Finding } from "../protocol/findings.ts";
import type { SourcePosition } from "../protocol/errors.ts";
import { RunState } from "../protocol/run.ts";
import type { Workspace } from "./workspace.ts";

/** A number, or null where it is NaN or infinite. */
export const Num = v.nullable(v.number());
export const Values = v.record(v.string(), Num);
export const Count = v.pipe(v.number(), v.integer(), v.minValue(0));

const described = <T extends v.GenericSchema>(schema: T, text: string) => v.pipe(schema, v.description(text));

export const FileName = described(
  v.pipe(v.string(), v.minLength(1), v.maxLength(1024)),
  "Path of a .nn.ts file, relative to the workspace folder",
);
export const ExportName = described(
  v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z_$][\w$]{0,199}$/)), "default"),
  "The experiment's export; default: the default export",
);
export const RunId = described(
  v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
  "Id of a run, as list_runs and train give it",
);
export const SweepId = described(
  v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
  "Id of a sweep, as list_sweeps and start_sweep give it",
);
/** Values of hyperparameters; the schema of the protocol has rules that JSON Schema can't say. */
export const Hyperparameters = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(/^[A-Za-z_$][\w$]{0,99}$/)),
    v.union([v.number(), v.pipe(v.string(), v.maxLength(1000)), v.boolean()]),
  ),
  v.maxEntries(100),
);
/** Seconds of one wait. */
export const LONGEST_WAIT = 300;
export const WaitSeconds = v.pipe(
  v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(LONGEST_WAIT)), 60),
  v.description("Most seconds"),
);
export const Seed = described(
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1))),
  "Seed of all random numbers; default: the experiment's",
);
export const Backend = described(v.optional(Device, "auto"), "auto takes the best backend that is installed");
export const Offset = described(v.optional(Count, 0), "Items to leave out: `next` of the answer before");
export const limit = (most: number, usual: number) =>
  described(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most)), usual),
    `Items in the answer, ${most} at most`,
  );

/** Where the rest of a list is. */
export const Rest = {
  total: described(v.number(), "Items that there are"),
  next: v.optional(described(v.number(), "Offset of the rest, if the answer doesn't have all")),
};

export const Position = v.object({ file: v.string(), line: v.number(), column: v.number() });

export const State = v.picklist(["waiting", ...RunState.options]);

export const ShownFinding = v.object({
  kind: Finding.entries.kind,
  title: v.string(),
  text: v.string(),
  layer: v.optional(v.string()),
  step: v.optional(v.number()),
  position: v.optional(Position),
});

/** A finding with its rule's title, and its file as the workspace has it. */
export function shownFinding(
  { kind, text, layer, step, position }: Finding,
  workspace: Workspace,
): v.InferInput<typeof ShownFinding> {
  return {
    kind,
    title: FINDING_RULES[kind].title,
    text,
    layer,
    step,
    position: shownPosition(position, workspace),
  };
}

export function shownPosition(
  position: SourcePosition | undefined,
  workspace: Workspace,
): v.InferInput<typeof Position> | undefined {
  if (position === undefined) return undefined;
  const { file, line, column } = position;
  return { file: workspace.shown(file), line, column };
}
