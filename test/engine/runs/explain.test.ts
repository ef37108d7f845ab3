// Reports of the engine's choices: in a training's log when it falls back, and on the terminal on request.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import * as v from "valibot";
import { Profile } from "../../../extension/protocol/profile.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { useWorkspace } from "../workspace.ts";

/** A model that uses another number of columns in every step. */
const CHANGING = `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

let calls = 0;

class Head extends nn.Module {
  fc = new nn.Linear(4, 2);
  forward(x: Tensor): Tensor {
    calls++;
    const part = x.narrow(0, 0, 1 + (calls % 40));
    // An op that only TensorFlow has.
    return this.fc(x).add(torch.special.besselJ0(part).mean());
  }
}

class Net extends nn.Module {
  head = new Head();
  forward(x: Tensor): Tensor {
    return this.head(x);
  }
}

export default experiment({
  seed: 0,
  model: () => new Net(),
  data: () => new data.TensorDataset(torch.randn(40, 4), torch.randint(0, 2, [40])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  epochs: 40,
});
`;

const SAME = CHANGING.replace("(calls % 40)", "3").replace("epochs: 40", "epochs: 300");

describe.skipIf(nativeStatus().state !== "installed")("the engine's choices", () => {
  const workspace = useWorkspace();
  const env = { LAYERWISE_DEVICE: "native" };

  it("a fallback is told once in the run's log: op, reason and the user's line", async () => {
    const file = workspace.write("changing.nn.ts", CHANGING);
    const { code } = await workspace.run(["train", file, "--no-progress"], { env });
    expect(code).toBe(0);
    const log = fs.readFileSync(path.join(workspace.runs()[0]!, "log.txt"), "utf8");
    const told = log.split("\n").filter((line) => line.includes("Not compiled"));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/a training step of \d+ ops\. There were 24 different graphs before it/);
    expect(told[0]).toMatch(
      /has slice \[\d+, 4\] where the last step had slice \[\d+, 4\] \(op slice in head at /,
    );
    expect(told[0]).toContain("changing.nn.ts:9:");
  });

  it("--explain says what was chosen and why", async () => {
    const file = workspace.write("same.nn.ts", SAME);
    const { code, stderr, stdout } = await workspace.run(["train", file, "--no-progress", "--explain"], {
      env,
    });
    expect(code).toBe(0);
    const text = stdout + stderr;
    expect(text).not.toContain("Not compiled");
    expect(text).toMatch(/engine TensorFlow [\d.]+ with Layerwise's own kernels \(/);
    expect(text).toMatch(/threads \d+ inside an op, \d+ between \(/);
    expect(text).toMatch(/Training step of \d+ ops: graph compiled \(\d+ TensorFlow nodes, one call\)/);
    expect(text).toMatch(/batch whole \([\d.e-]+ million of multiply-adds a step are less than/);
  });

  it("a profile measures the step compiled and op by op", async () => {
    const file = workspace.write("same.nn.ts", SAME);
    const { code, stdout } = await workspace.run(["profile", file, "--json", "--seconds", "0.2"], { env });
    expect(code).toBe(0);
    const profile = v.parse(Profile, JSON.parse(stdout));
    expect(profile).toMatchObject({ model: "Net", exportName: "default", batch: 40, fallbacks: [] });
    expect(profile.compiledMs).toBeGreaterThan(0);
    expect(profile.limitGflops).toBeGreaterThan(0);
    expect(profile.layers.map(({ path }) => path)).toEqual(["head", "head.fc", ""]);
    expect(profile.choices.map(({ about }) => about)).toEqual(
      expect.arrayContaining(["engine", "threads", "graph", "batch"]),
    );
  });
});
