// A training whose batches differ in length has more graphs than are compiled: which ones are must not depend on the process.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { nativeStatus } from "../../../extension/native/status.ts";
import { patience } from "../../patience.ts";
import { useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const TEXT = `
import { torch, nn, data, experiment, optim, type Tensor } from "layerwise";

class Ragged extends data.Dataset<[Tensor, number]> {
  get length() {
    return 320;
  }
  get(i: number): [Tensor, number] {
    const n = 10 + ((i * 7919) % 60);
    return [torch.arange(n).mul(i + 1).remainder(49).add(1), i % 2];
  }
}

class Net extends nn.Module {
  emb = new nn.Embedding(50, 32, { paddingIdx: 0 });
  fc = new nn.Linear(32, 2);
  forward(x: Tensor): Tensor {
    return this.fc(this.emb(x).mean(1));
  }
}

export default experiment({
  seed: 3,
  model: () => new Net(),
  epochs: 1,
  loss: new nn.CrossEntropyLoss(),
  data: () =>
    new data.DataLoader(new Ragged(), {
      batchSize: 4,
      shuffle: true,
      collateFn: (batch: [Tensor, number][]): [Tensor, Tensor] => [
        nn.utils.rnn.padSequence(batch.map(([x]) => x), { batchFirst: true }),
        torch.tensor(batch.map(([, y]) => y)),
      ],
    }),
  optimizer: (p) => new optim.Adam(p, { lr: 3e-3 }),
  callbacks: {
    onStepEnd: ({ step }) => {
      if (process.env["STOP_AT"] === String(step)) process.kill(process.ppid, "SIGINT");
    },
  },
});
`;

describe.skipIf(nativeStatus().state !== "installed")("batches of many lengths", () => {
  test(
    "a resumed training has the numbers of an uninterrupted one",
    async () => {
      workspace.write("ragged.nn.ts", TEXT);
      const env = { LAYERWISE_DEVICE: "native" };
      const weights = (name: string): Buffer =>
        fs.readFileSync(path.join(workspace.file(name), "checkpoints", "final.safetensors"));
      const train = (...args: string[]) => workspace.run(["train", ...args, "--no-progress"], { env });
      expect((await train("ragged.nn.ts", "--out", "whole")).code).toBe(0);
      const stopped = await workspace.run(["train", "ragged.nn.ts", "--out", "parted", "--no-progress"], {
        env: { ...env, STOP_AT: "10" },
      });
      expect(stopped.stderr).toContain("Stopped");
      expect((await train("--resume", "parted")).code).toBe(0);
      expect(weights("parted").equals(weights("whole"))).toBe(true);
    },
    patience(90_000),
  );
});
