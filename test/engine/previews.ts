// Previews of files, in a process of one test or of several.
import { beforeEach, expect } from "vitest";
import type { FileReport, InspectRequest } from "../../extension/protocol/preview.ts";
import { PreviewEngine } from "../../extension/supervisor/engines/preview.ts";
import { around, type Scope } from "../folders.ts";
import { dist } from "./workspace.ts";

export interface Previews {
  readonly engine: PreviewEngine;
  /** The engine's log in this test. */
  readonly logged: string[];
  /** Previews a file. The time limit, in seconds, is generous: the machine may be busy. */
  readonly inspect: (request: InspectRequest, limit?: number) => Promise<FileReport>;
}

/** A preview engine for each test, or for all of a file or block. `memory` is its limit in megabytes. */
export function usePreviews(scope: Scope = "each", memory?: number): Previews {
  const logged: string[] = [];
  let engine: PreviewEngine;
  around(
    scope,
    () => {
      engine = new PreviewEngine(() => ({ dist }), {
        onLog: (text) => logged.push(text),
        ...(memory === undefined ? {} : { memoryLimit: () => memory }),
      });
    },
    () => engine.dispose(),
  );
  beforeEach(() => void logged.splice(0));
  return {
    get engine() {
      return engine;
    },
    logged,
    inspect: async (request, limit = 20) => {
      const report = await engine.inspect(request, limit);
      expect(report).toBeDefined();
      return report!;
    },
  };
}
