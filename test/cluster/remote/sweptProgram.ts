// The sweep that tests run elsewhere and here.
import fs from "node:fs";
import { sweptFile } from "../../engine/sweeps/sweepFiles.ts";
import type { Workspace } from "../../engine/workspace.ts";

/** Writes an experiment with a sweep and a file of data. @param wait milliseconds of each epoch */
export function writeSwept(
  workspace: Workspace,
  { wait = 0, ...options }: { wait?: number } & Record<string, string | number> = {},
): void {
  const rows = Array.from(
    { length: 48 },
    (_, i) => `${i % 5},${(i * 7) % 11},${i % 3},${i % 2},${"uvw"[i % 3]}`,
  );
  fs.writeFileSync(workspace.file("points.csv"), `a,b,c,d,y\n${rows.join("\n")}\n`);
  workspace.write(
    "net.nn.ts",
    sweptFile({
      data: "() => data.csv('points.csv', { target: 'y', normalize: true })",
      epochs: "6",
      checkpoints: "{ everyNTrainSteps: 3 }",
      callbacks: `{ onEpochEnd: () => new Promise((resolve) => setTimeout(resolve, ${wait})) }`,
      ...Object.fromEntries(Object.entries(options).map(([name, value]) => [name, String(value)])),
    }),
  );
}
