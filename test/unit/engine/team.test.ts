import fs from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { Team } from "../../../extension/engine/parallel/team.ts";
import { RunDirectory } from "../../../extension/engine/reporting/runDirectory.ts";
import { CheckpointPolicy } from "../../../extension/engine/resume/checkpointPolicy.ts";
import { Checkpoints } from "../../../extension/engine/resume/checkpoints.ts";
import { LoopControl } from "../../../extension/engine/training/control.ts";
import { data, experiment, nn, optim, torch } from "../../../extension/nn/index.ts";
import { startingRecord } from "../../../extension/protocol/engine.ts";
import type { HostArray } from "../../../extension/tensor/core/dtype.ts";
import type { Communicator } from "../../../extension/tensor/distributed/communicator.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

/** Two processes that run one after the other: the second one has the sums that the first one made. */
function pair(): { groups: readonly [Communicator, Communicator]; left: () => number } {
  const sums: HostArray[] = [];
  const common = { size: 2, timeout: 0, nextKey: () => 0, gather: <T extends HostArray>(own: T): T => own };
  const first = <T extends HostArray>(own: T): T => {
    sums.push(own);
    return own;
  };
  const second = <T extends HostArray>(own: T): T => {
    const sum = sums.shift();
    expect(sum?.length, "an exchange that the first worker makes too").toBe(own.length);
    return sum as T;
  };
  return {
    groups: [
      { ...common, rank: 0, sum: first },
      { ...common, rank: 1, sum: second },
    ],
    left: () => sums.length,
  };
}

const { options } = experiment({
  model: () => new nn.Linear(2, 1),
  data: () => new data.TensorDataset(torch.zeros(4, 2), torch.zeros(4, 1)),
  loss: new nn.MSELoss(),
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
  epochs: 1,
});

/** The checkpoints of a worker, and the events of its callbacks. */
function checkpointsOf(team: Team): { checkpoints: Checkpoints; directory: string; told: string[] } {
  const directory = path.join(folder, String(team.rank));
  const request = { kind: "train", file: "/net.nn.ts", exportName: "default", device: "cpu" } as const;
  const record = startingRecord({ ...request, directory, outlive: false });
  const told: string[] = [];
  const checkpoints = new Checkpoints(
    new RunDirectory(directory, record, () => undefined),
    new nn.Linear(2, 1),
    new CheckpointPolicy(options, false),
    {
      onProblem: () => undefined,
      onSave: ({ kind, step }, file) => told.push(`${kind} ${step} ${path.relative(folder, file)}`),
    },
    team,
  );
  return { checkpoints, directory, told };
}

const at = (step: number): { epoch: number; step: number; metrics: Record<string, number> } => ({
  epoch: 1,
  step,
  metrics: { loss: NaN },
});

it("a save is reported in all workers with the first one's file, or fails in all", () => {
  const { groups, left } = pair();
  const outcomes = groups.map((group) => {
    const { checkpoints, directory, told } = checkpointsOf(new Team(group));
    const saved = [checkpoints.trySave("last", at(1))];
    fs.rmSync(path.join(directory, "checkpoints"), { recursive: true });
    fs.writeFileSync(path.join(directory, "checkpoints"), "");
    saved.push(checkpoints.trySave("best", at(2)));
    return { saved, told };
  });
  const all = { saved: [true, false], told: [`last 1 ${path.join("0", "checkpoints", "last.safetensors")}`] };
  expect(outcomes).toEqual([all, all]);
  expect(left()).toBe(0);
});

it("a save that the first worker makes in a pause is reported in all workers", async () => {
  const { groups, left } = pair();
  const told: string[][] = [];
  for (const group of groups) {
    const team = new Team(group);
    const worker = checkpointsOf(team);
    const control = new LoopControl();
    control.join(team);
    control.onServed = (to) => worker.checkpoints.share(to);
    if (team.rank === 0) control.pause();
    const yielded = control.yield();
    if (team.rank === 0) {
      // Once this has run, it waits.
      await control.atNextStep(() => undefined);
      await control.atNextStep(() => worker.checkpoints.save("manual", at(7), { alone: true }));
      expect(worker.told).toEqual([]);
      control.resume();
    }
    await yielded;
    told.push(worker.told);
  }
  const [first, second] = told;
  expect(first).toEqual([`manual 7 ${path.join("0", "checkpoints", "step-000007.safetensors")}`]);
  expect(second).toEqual(first);
  expect(left()).toBe(0);
});
