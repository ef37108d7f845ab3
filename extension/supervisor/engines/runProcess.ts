import * as v from "valibot";
import {
  EvaluationResult,
  Hello,
  Progress,
  type RunEngineEvents,
  type RunEngineMethods,
} from "../../protocol/engine.ts";
import { UserError } from "../../protocol/errors.ts";
import { MetricRow, RunRecord } from "../../protocol/run.ts";
import { handshake, openChannel, type EventSchemas, type Remote } from "./channel.ts";
import { deferred } from "../../processes/deferred.ts";
import { forkEngine, type EngineOptions, type EngineProcess } from "./process.ts";

const SCHEMAS: EventSchemas<RunEngineEvents> = {
  hello: v.strictTuple([Hello]),
  record: v.strictTuple([RunRecord]),
  metrics: v.strictTuple([v.array(MetricRow)]),
  progress: v.strictTuple([Progress]),
  log: v.strictTuple([v.picklist(["info", "warning", "error"]), v.string()]),
  evaluated: v.strictTuple([EvaluationResult]),
  arrived: v.strictTuple([]),
  inspecting: v.strictTuple([v.string()]),
  ended: v.strictTuple([RunRecord, v.optional(UserError)]),
  failed: v.strictTuple([UserError]),
  idle: v.strictTuple([]),
};

/** Events of a run engine's process. */
export type ProcessEvents = Partial<Omit<RunEngineEvents, "hello">> & {
  /** Its output streams, cut at arbitrary places. */
  output?(stream: "stdout" | "stderr", text: string): void;
};

/** A process of the run engine, for one run, or for several that follow each other. */
export interface RunProcess {
  readonly engine: EngineProcess;
  readonly remote: Remote<RunEngineMethods>;
  /** The handshake; when it fails, the process has ended. */
  readonly ready: Promise<Hello>;
  /** The listener, set when a run takes the process. */
  events: ProcessEvents;
}

/** @param outliveTo Output file of a process that outlives this one */
export async function forkRunProcess(options: EngineOptions, outliveTo?: string): Promise<RunProcess> {
  const listener: { events: ProcessEvents } = { events: {} };
  const engine = await forkEngine({
    ...options,
    entry: "runEngine.js",
    ...(outliveTo === undefined ? {} : { outliveTo }),
    onOutput: (stream, text) => listener.events.output?.(stream, text),
  });
  const hello = deferred<Hello>();
  const remote = openChannel<RunEngineMethods, RunEngineEvents>(engine.child, {
    schemas: SCHEMAS,
    handlers: {
      hello: (answer) => hello.resolve(answer),
      record: (record) => listener.events.record?.(record),
      metrics: (rows) => listener.events.metrics?.(rows),
      progress: (progress) => listener.events.progress?.(progress),
      log: (level, text) => listener.events.log?.(level, text),
      evaluated: (result) => listener.events.evaluated?.(result),
      arrived: () => listener.events.arrived?.(),
      inspecting: (url) => listener.events.inspecting?.(url),
      ended: (record, error) => listener.events.ended?.(record, error),
      failed: (error) => listener.events.failed?.(error),
      idle: () => listener.events.idle?.(),
    },
    onInvalid: (problem) => listener.events.log?.("warning", `The run engine sent ${problem}`),
  });
  const ready = handshake(engine, hello.promise, "run", options.helloTimeout ?? 20_000);
  return Object.assign(listener, { engine, remote, ready });
}
