import { beforeAll, expect } from "vitest";
import type { FileReport } from "../../extension/protocol/preview.ts";
import { usePreviews, type Previews } from "../engine/previews.ts";
import { experimentFile, useWorkspace, type Workspace } from "../engine/workspace.ts";

/** A file without an attack. */
export const HONEST = experimentFile();

interface AttackedPreviews extends Pick<Previews, "logged"> {
  readonly workspace: Workspace;
  readonly preview: (name: string, text: string, limit?: number) => Promise<FileReport>;
  /** Checks that a file without an attack is previewed as before. */
  readonly serves: () => Promise<void>;
}

/** One process for all tests of a file, as the editor has one for all files. `memory` is its limit in megabytes. */
export function useAttackedPreviews(memory: number): AttackedPreviews {
  const workspace = useWorkspace("all");
  const previews = usePreviews("all", memory);
  const preview = (name: string, text: string, limit = 15): Promise<FileReport> =>
    previews.inspect({ file: workspace.file(`${name}.nn.ts`), text, calls: true }, limit);
  let honest: FileReport | undefined;
  beforeAll(async () => {
    honest = await preview("honest", HONEST);
    expect(honest).toMatchObject({ errors: [], models: [{ name: "Net" }] });
  });
  return {
    workspace,
    logged: previews.logged,
    preview,
    serves: async () => {
      expect(await preview("honest", HONEST)).toEqual(honest);
    },
  };
}
