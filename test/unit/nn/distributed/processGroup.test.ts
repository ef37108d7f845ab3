import { afterEach, describe, expect, it, test } from "vitest";
import { data, distributed, nn, torch } from "../../../../extension/nn/index.ts";
import { launchedPlace } from "../../../../extension/protocol/cluster.ts";

describe("DistributedSampler", () => {
  // Made by PyTorch 2.15, with seed 5: samples, replicas, rank, dropLast, epoch.
  test.each([
    [10, 3, 0, false, 0, [1, 6, 0, 7]],
    [10, 3, 2, false, 1, [5, 3, 4, 7]],
    [10, 3, 1, true, 0, [4, 3, 2]],
    [7, 4, 3, false, 2, [1, 5]],
    [3, 4, 2, false, 0, [0]],
  ])(
    "gives of %i samples for %i replicas what PyTorch gives rank %i",
    (length, numReplicas, rank, dropLast, epoch, order) => {
      const sampler = new data.DistributedSampler({ length }, { numReplicas, rank, dropLast, seed: 5 });
      sampler.setEpoch(epoch);
      expect([...sampler]).toEqual(order);
      expect(sampler.length).toBe(order.length);
    },
  );

  it("refuses a rank that the group doesn't have", () => {
    expect(() => new data.DistributedSampler({ length: 3 }, { numReplicas: 2, rank: 2 })).toThrow(
      "Invalid rank 2, rank should be in the interval [0, 1]",
    );
  });

  it("needs a group, or its numbers", () => {
    expect(() => new data.DistributedSampler({ length: 3 })).toThrow(
      "Default process group has not been initialized, please make sure to call init_process_group.",
    );
  });
});

describe("a process group", () => {
  afterEach(() => {
    if (distributed.isInitialized()) distributed.destroyProcessGroup();
  });

  it("that is missing is an error in PyTorch's words", async () => {
    const missing =
      "Default process group has not been initialized, please make sure to call init_process_group.";
    for (const use of [
      () => distributed.getRank(),
      () => distributed.getWorldSize(),
      () => distributed.barrier(),
      () => distributed.allReduce(torch.ones(1)),
      () => new nn.parallel.DistributedDataParallel(new nn.Linear(1, 1)),
    ])
      expect(use).toThrow(missing);
    expect(() => distributed.destroyProcessGroup()).toThrow("Process group cannot be None");
    await expect(distributed.initProcessGroup("gloo")).rejects.toThrow(
      "Error initializing torch.distributed using env:// rendezvous: environment variable RANK expected, but not set",
    );
    await expect(distributed.initProcessGroup({ initMethod: "tcp://127.0.0.1:1", rank: 0 })).rejects.toThrow(
      "Error initializing torch.distributed using tcp:// rendezvous: world size parameter missing",
    );
  });

  it("of one process leaves tensors unchanged", async () => {
    await distributed.initProcessGroup({ initMethod: "tcp://127.0.0.1:1", rank: 0, worldSize: 1 });
    expect([distributed.getRank(), distributed.getWorldSize()]).toEqual([0, 1]);
    await expect(distributed.initProcessGroup()).rejects.toThrow(
      "trying to initialize the default process group twice!",
    );
    const model = new nn.parallel.DistributedDataParallel(new nn.Linear(4, 2));
    expect([...model.stateDict().keys()]).toEqual(["module.weight", "module.bias"]);
    expect(() => distributed.broadcast(torch.ones(1), 1)).toThrow("Global rank 1 is not part of group");
  });
});

describe("SyncBatchNorm", () => {
  it("replaces batch norm layers and takes their tensors", () => {
    const inner = new nn.BatchNorm2d(3, { eps: 1e-3 });
    const model = new nn.Sequential(new nn.BatchNorm1d(2), new nn.Linear(2, 2), new nn.Sequential(inner));
    const keys = [...model.stateDict().keys()];
    const converted = nn.SyncBatchNorm.convertSyncBatchnorm(model);
    expect(String(converted)).toContain(
      "(0): SyncBatchNorm(2, eps=1e-05, momentum=0.1, affine=True, bias=True,",
    );
    expect(String(converted)).toContain("(0): SyncBatchNorm(3, eps=0.001,");
    expect([...converted.stateDict().keys()]).toEqual(keys);
    const [, , last] = converted.children() as [nn.Module, nn.Module, nn.Module];
    expect((last.children()[0] as nn.SyncBatchNorm).weight).toBe(inner.weight);
  });

  it("refuses an input without a batch", () => {
    expect(() => new nn.SyncBatchNorm(3)(torch.ones(3))).toThrow("expected at least 2D input (got 1D input)");
  });
});

describe("the place of a launched process", () => {
  it.each([
    [
      { RANK: "1", WORLD_SIZE: "2", MASTER_ADDR: "node1" },
      { rank: 1, size: 2, master: "node1:29500" },
    ],
    [
      {
        RANK: "1",
        WORLD_SIZE: "2",
        MASTER_ADDR: "::1",
        MASTER_PORT: "77",
        TORCHELASTIC_USE_AGENT_STORE: "True",
      },
      { rank: 1, size: 2, master: "::1:78" },
    ],
    [
      {
        TF_CONFIG:
          '{"cluster":{"chief":["a:1"],"worker":["b:2","c:3"]},"task":{"type":"worker","index":"1"}}',
      },
      { rank: 2, size: 3, addresses: ["a:1", "b:2", "c:3"] },
    ],
    [
      {
        SLURM_PROCID: "3",
        SLURM_NTASKS: "4",
        SLURM_STEP_ID: "0",
        SLURM_JOB_ID: "10001",
        SLURM_STEP_NODELIST: "gpu[003-006,010],login1",
      },
      { rank: 3, size: 4, master: "gpu003:20001" },
    ],
  ])("is read from %j", (env, place) => {
    expect(launchedPlace(env)).toMatchObject(place);
  });

  it.each([
    [{}],
    [{ WORLD_SIZE: "1", RANK: "0", MASTER_ADDR: "a" }],
    [{ SLURM_PROCID: "0", SLURM_NTASKS: "8" }],
  ])("is none for %j", (env) => {
    expect(launchedPlace(env)).toBeUndefined();
  });

  it.each([
    [{ RANK: "2", WORLD_SIZE: "2", MASTER_ADDR: "a" }, "RANK (2) must be less than WORLD_SIZE (2)."],
    [{ RANK: "x", WORLD_SIZE: "2", MASTER_ADDR: "a" }, 'RANK: expected a number, got "x".'],
    [{ RANK: "0", WORLD_SIZE: "2" }, "WORLD_SIZE and RANK are set, and MASTER_ADDR is not"],
    [{ TF_CONFIG: "{" }, "TF_CONFIG: expected JSON."],
    [
      { TF_CONFIG: '{"cluster":{"worker":["a:1","b:2"]},"task":{"type":"ps","index":0}}' },
      'a task of type "ps" takes no part',
    ],
  ])("is refused for %j", (env, text) => {
    expect(() => launchedPlace(env)).toThrow(text);
  });
});
