import type { PreviewEngine } from "../supervisor/engines/preview.ts";
import type { EngineOptions } from "../supervisor/engines/process.ts";
import type { ToolOptions } from "../supervisor/engines/tool.ts";
import type { RunManager } from "./runManager.ts";
import type { SweepManager } from "./sweepManager.ts";
import type { Call } from "./tool.ts";
import type { Workspace } from "./workspace.ts";

/** Services that tools use. */
export interface Services {
  readonly workspace: Workspace;
  readonly engine: EngineOptions;
  /** Builds models; one process for all files. */
  readonly preview: PreviewEngine;
  readonly runs: RunManager;
  readonly sweeps: SweepManager;
}

/** Options of a process that answers one question, which ends when the client cancels or a time is over. */
export function toolOptions({ engine }: Services, { signal }: Call, seconds: number): ToolOptions {
  return {
    ...engine,
    signal: AbortSignal.any([signal, AbortSignal.timeout(1000 * seconds)]),
    onLog: () => undefined,
  };
}
