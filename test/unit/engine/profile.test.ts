// The profile of a training step: the layer and the cost of each op, and the values that the backward pass keeps.
import { describe, expect, it } from "vitest";
import { profileStep } from "../../../extension/engine/profiler/profile.ts";
import { prepare } from "../../../extension/engine/training/prepare.ts";
import { data, experiment, F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { Profile, type LayerProfile } from "../../../extension/protocol/profile.ts";
import { profileLines } from "../../../extension/cli/profile.ts";
import { runtime } from "../../../extension/tensor/recording/runtime.ts";
import { scope } from "../../../extension/tensor/recording/scope.ts";
import * as v from "valibot";
import { useEngine } from "../../engines.ts";

const executor = useEngine("cpu");

class Body extends nn.Module {
  fc = new nn.Linear(6, 5);
  forward(x: Tensor): Tensor {
    return F.relu(this.fc(x));
  }
}

class Net extends nn.Module {
  body = new Body();
  head = new nn.Linear(5, 3);
  unused = new nn.Linear(2, 2);
  forward(x: Tensor): Tensor {
    return this.head(this.body(x)).mul(2);
  }
}

const BATCH = 8;

const measure = async (changes: object = {}): Promise<Profile> => {
  const options = {
    seed: 0,
    model: () => new Net(),
    data: () => new data.TensorDataset(torch.randn(BATCH, 6), torch.randint(0, 3, [BATCH])),
    loss: new nn.CrossEntropyLoss(),
    optimizer: (parameters: ConstructorParameters<typeof optim.Adam>[0]) =>
      new optim.Adam(parameters, { lr: 0.01 }),
    batchSize: BATCH,
    epochs: 1,
    gradientClipVal: 1,
    ...changes,
  };
  const prepared = await prepare(experiment(options as never), 0);
  const measured = await profileStep(prepared, { executor: executor(), seconds: 0 });
  // The profile has the form that other processes expect.
  return v.parse(Profile, { file: "/net.nn.ts", exportName: "default", ...measured });
};

const layer = ({ layers }: Profile, path: string): LayerProfile =>
  layers.find((one) => one.path === path) ?? expect.fail(`${path} is missing`);

describe("a profile", () => {
  it("tells forward from backward from update, by layer", async () => {
    const profile = await measure();
    expect(profile.layers.map(({ path, className }) => [path, className])).toEqual([
      ["body", "Body"],
      ["body.fc", "Linear"],
      ["head", "Linear"],
      ["unused", "Linear"],
      ["", "Net"],
    ]);
    const fc = layer(profile, "body.fc");
    // A product and a bias; backward, the gradients of both, since the input needs none.
    expect(fc.forward.multiplyAdds).toBe(BATCH * 6 * 5 + BATCH * 5);
    expect(fc.backward.multiplyAdds).toBe(BATCH * 6 * 5 + BATCH * 5);
    const head = layer(profile, "head");
    expect(head.backward.multiplyAdds).toBe(2 * BATCH * 5 * 3 + BATCH * 3);
    // The ReLU is the body's own.
    expect(layer(profile, "body").forward.ops).toBe(1);
    expect(layer(profile, "body").backward.ops).toBe(1);
    expect(layer(profile, "unused").forward.ops + layer(profile, "unused").backward.ops).toBe(0);
    expect(fc.gradientBytes).toBe(4 * (6 * 5 + 5));
    // Clipping is a part of the update, which the optimizer makes of four weights.
    const update = profile.ops.filter(({ phase }) => phase === "update");
    expect(update.find(({ name }) => name === "adamStep")?.ops).toBe(4);
    expect(update.length).toBeGreaterThan(1);
    expect(profile.update.ops).toBe(update.reduce((sum, { ops }) => sum + ops, 0));
    const all = [...profile.layers.flatMap(({ forward, backward }) => [forward, backward]), profile.update];
    expect(all.reduce((sum, { ops }) => sum + ops, 0)).toBe(
      profile.ops.reduce((sum, { ops }) => sum + ops, 0),
    );
    expect(all.every(({ ms }) => ms >= 0)).toBe(true);
  });

  it("counts what the backward pass needs of the forward pass", async () => {
    const profile = await measure();
    // The ReLU's output is kept for its own gradient and the head's; its input isn't.
    expect(layer(profile, "body").activationBytes).toBe(4 * BATCH * 5);
    expect(layer(profile, "body.fc").activationBytes).toBe(0);
    expect(profile.peakBytes).toBeGreaterThan(4 * BATCH * (5 + 3));
  });

  it("says what isn't compiled, and leaves nothing behind", async () => {
    const before = runtime.policy;
    // Files of tests share a process, and one before may have left it on.
    scope.sites = false;
    const profile = await measure();
    expect(profile.compiledMs).toBeUndefined();
    expect(profile.fallbacks).toEqual(["the cpu backend has no compiled graphs: the native engine does"]);
    expect(profile.choices.map(({ about }) => about)).toEqual(["engine", "graph"]);
    expect(runtime.policy).toBe(before);
    expect([runtime.inspector, scope.onNode, scope.onCall, scope.sites]).toEqual([
      undefined,
      undefined,
      undefined,
      false,
    ]);
  });

  it("knows the parts of a step of the experiment's own, with several optimizers", async () => {
    const profile = await measure({
      loss: undefined,
      gradientClipVal: undefined,
      optimizer: (_: unknown, net: Net) => ({
        a: new optim.SGD(net.body.parameters(), { lr: 0.1 }),
        b: new optim.SGD(net.head.parameters(), { lr: 0.1 }),
      }),
      trainStep({
        model,
        batch,
        optimizer,
      }: {
        model: Net;
        batch: Tensor[];
        optimizer: Record<string, optim.SGD>;
      }) {
        optimizer["a"]!.zeroGrad();
        optimizer["b"]!.zeroGrad();
        const loss = new nn.CrossEntropyLoss()(model(batch[0]!), batch[1]!);
        loss.backward();
        optimizer["a"]!.step();
        optimizer["b"]!.step();
        return { loss };
      },
    });
    expect(layer(profile, "body.fc").forward.multiplyAdds).toBe(BATCH * 6 * 5 + BATCH * 5);
    expect(profile.update.ops).toBe(4);
  });

  it("is printed as a table whose shares are of the whole", async () => {
    const profile = await measure();
    const lines = profileLines(profile, { sort: "model", ops: true, explain: true });
    expect(lines[0]).toContain("Net (/net.nn.ts), a batch of 8, on tfjs");
    const row = lines.find((line) => line.startsWith("body.fc "))!;
    expect(row).toMatch(/^body\.fc +Linear +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ %.*140 B$/);
    expect(lines.find((line) => line.startsWith("op by op "))).toContain("100.0 %");
    expect(lines.some((line) => line.startsWith("Fell back: the cpu backend"))).toBe(true);
    const times = (sorted: readonly string[]): number[] =>
      sorted.slice(3, 3 + profile.layers.length).map((line) => Number(/([\d.]+) +[\d.]+ %/.exec(line)![1]));
    const byTime = times(profileLines(profile, { sort: "time", ops: false }));
    expect(byTime).toEqual(byTime.toSorted((a, b) => b - a));
  });
});
