// Processes that another launcher has started, as torchrun, Slurm and TF_CONFIG do.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { launch as launchProcesses, torchrun } from "../../../scripts/bench/cluster/launch.mjs";
import { useFolder } from "../../folders.ts";
import { describeUnless } from "../../unless.ts";
import { distance, unable, weightsOf, type Weights } from "./training.ts";
import { slow } from "../../slow.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));
const folder = useFolder("all");

const launch = (environments: readonly Record<string, string>[], ...args: string[]): Promise<string[]> =>
  launchProcesses(environments, folder, [process.execPath, path.join(root, "dist", "cli.js"), ...args]);

const weightsIn = (text: string): number[][] => JSON.parse(/^weights (.*)$/m.exec(text)![1]!) as number[][];

describeUnless(unable, "launched processes", () => {
  it("exchange tensors and average gradients in a loop of their own", { timeout: 120_000 }, async () => {
    const loop = path.join(here, "loop.nn.ts");
    const args = ["run", loop, "--device", "native", "--no-check"];
    const [first, second] = (await launch(torchrun(2), ...args)) as [string, string];
    expect(first).toContain("SUM [4, 1, 8]");
    expect(first).toContain("AVG [2, 0.5, 4]");
    expect(first).toContain("PRODUCT [3.75, 0, 16]");
    expect(first).toContain("MIN [1.5, 0, 4]");
    expect(first).toContain("MAX [2.5, 1, 4]");
    expect(first).toContain("flags [True, True, False] counts [1, 7] all [[1.5, 1, 4], [2.5, 0, 4]]");
    expect(second).toBe(first);
    const [alone] = (await launch([{ RANK: "0", WORLD_SIZE: "1", MASTER_ADDR: "127.0.0.1" }], ...args)) as [
      string,
    ];
    const [together, one] = [weightsIn(first).flat(), weightsIn(alone).flat()];
    expect(together).toHaveLength(one.length);
    together.forEach((value, i) => expect(Math.abs(value - one[i]!)).toBeLessThan(2e-6));
  });

  const launchers: [name: string, environments: Record<string, string>[]][] = [
    ["torchrun", torchrun(2)],
    [
      "Slurm",
      [0, 1].map((rank) => ({
        SLURM_PROCID: String(rank),
        SLURM_NTASKS: "2",
        SLURM_STEP_ID: "0",
        SLURM_JOB_ID: "123",
        SLURM_STEP_NODELIST: "127.0.0.1",
      })),
    ],
    [
      "TF_CONFIG",
      [0, 1].map((index) => ({
        TF_CONFIG: JSON.stringify({
          cluster: { worker: ["127.0.0.1:23611", "127.0.0.1:23612"] },
          task: { type: "worker", index },
        }),
      })),
    ],
  ];
  for (const [name, environments] of launchers)
    it(
      `train as ${name} has placed them`,
      { timeout: 120_000, ...(name !== "torchrun" && slow) },
      async () => {
        const out = path.join(folder, name);
        fs.mkdirSync(path.join(out, "weights"), { recursive: true });
        const models = path.join(here, "models.nn.ts#sgd");
        const args = [
          "train",
          models,
          "--out",
          path.join(out, "run"),
          "--device",
          "native",
          "--no-check",
          "--no-progress",
        ];
        const given = environments.map((one) => ({ ...one, WEIGHTS: path.join(out, "weights") }));
        const texts = await launch(given, ...args);
        const replicas: Weights[] = weightsOf({ folder: out });
        expect(replicas, texts.join("\n")).toHaveLength(2);
        expect(distance(replicas[0]!, replicas[1]!)).toBe(0);
        expect(fs.existsSync(path.join(out, "run", "run.json"))).toBe(true);
      },
    );
});
