// The program that tests train elsewhere and here, and what they compare.
import fs from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import { experimentFile, readRows, type Workspace } from "../../engine/workspace.ts";

const EPOCHS = 20;

interface Program {
  /** Dropout, shuffled samples, a validation set, a file of data: all that a resumed run has to have again. */
  write: (name: string, options?: { epochs?: number; wait?: number; holdAt?: number }) => void;
  /** Has trainings of a program that was written with `holdAt` wait at the end of that epoch, until the returned function is called. */
  hold: () => () => void;
  /** Trains it on this machine. @returns its run directory */
  here: (file: string, ...more: string[]) => Promise<string>;
}

export function useProgram(workspace: Workspace): Program {
  /** In a program, its name is encoded: a file that a program names goes with it. */
  const held = (): string => workspace.file("held");
  function hold(): () => void {
    fs.writeFileSync(held(), "");
    return () => fs.rmSync(held());
  }

  function write(name: string, { epochs = EPOCHS, wait = 0, holdAt = 0 } = {}): void {
    fs.writeFileSync(
      workspace.file("points.csv"),
      `a,b,c,d,y\n${Array.from({ length: 48 }, (_, i) => `${i % 5},${(i * 7) % 11},${i % 3},${i % 2},${"uvw"[i % 3]}`).join("\n")}\n`,
    );
    workspace.write("parts/net.ts", 'export const wide = 16;\nexport const file = "points.csv";\n');
    workspace.write(
      name,
      experimentFile(
        {
          model:
            "() => new nn.Sequential(new nn.Linear(4, wide), new nn.ReLU(), new nn.Dropout(0.2), new nn.Linear(wide, 3))",
          data: "() => data.csv(file, { target: 'y', normalize: true })",
          optimizer: "(parameters) => new optim.Adam(parameters, { lr: 0.01 })",
          validation: "0.25",
          epochs: String(epochs),
          checkpoints: "{ everyNTrainSteps: 4 }",
          callbacks: `{
    onBatchEnd: () => new Promise((done) => { setTimeout(done, ${wait}); }),
    onEpochStart: async ({ epoch }) => {
      while (epoch === ${holdAt} + 1 && existsSync(HELD)) await new Promise((done) => { setTimeout(done, 20); });
    },
    onEpochEnd: ({ epoch }) => console.log("seen", epoch),
  }`,
        },
        `import { existsSync } from "node:fs";
import { file, wide } from "./parts/net.ts";
const HELD = Buffer.from("${Buffer.from(held()).toString("hex")}", "hex").toString();`,
      ).replace(/export class Net[\s\S]*?\n}\n/, ""),
    );
  }

  async function here(file: string, ...more: string[]): Promise<string> {
    const { code, stderr } = await workspace.run(["train", file, "--out", "here", "--no-progress", ...more]);
    expect(stderr).toContain("Trained");
    expect(code).toBe(0);
    return workspace.file("here");
  }
  return { write, hold, here };
}

export const weightsOf = (directory: string): Buffer =>
  fs.readFileSync(path.join(directory, "checkpoints", "final.safetensors"));

/** The curves, without measured times. */
export const curves = (directory: string): object[] =>
  readRows(directory).map((row) => ({ ...row, time: 0, spent: undefined }));

/** How many rows a run has; none before it has any. */
export const rowsOf = (directory: string): number => {
  try {
    return readRows(directory).length;
  } catch {
    return 0;
  }
};
