// The tools for sweeps, called by the official client.
import { afterEach, describe, expect, test } from "vitest";
import { findSweep, slowLosers, sweptFile } from "../sweeps/sweepFiles.ts";
import { experimentFile, readRun, useWorkspace } from "../workspace.ts";
import { useAgent } from "./client.ts";

const workspace = useWorkspace("all");
const agent = useAgent(() => workspace.folder, { LAYERWISE_DEVICE: "cpu" });

interface Trial {
  trial: number;
  state: string;
  settings: Record<string, number | string>;
  run: string;
  value?: number;
  epoch?: number;
}

interface Details {
  sweep: string;
  state: string;
  ended: boolean;
  counts: Record<string, number>;
  trials: number;
  best?: Trial;
  importance: { name: string; value: number }[];
  list: Trial[];
  total: number;
  next?: number;
}

const start = (args: object): Promise<Details> => agent.call("start_sweep", { file: "net.nn.ts", ...args });

async function waited(sweep: string): Promise<Details> {
  const details = await agent.call<Details>("wait_for_sweep", { sweep, seconds: 110 });
  expect(details.ended).toBe(true);
  return details;
}

/** A file whose trials take minutes. */
const long = (): string =>
  sweptFile({
    epochs: "1000",
    callbacks: "{ onEpochEnd: () => new Promise((resolve) => setTimeout(resolve, 50)) }",
  });

/** A failed test leaves a running sweep, behind which the next one would wait. */
afterEach(async () => {
  const { sweeps } = await agent.call<{ sweeps: Details[] }>("list_sweeps");
  for (const { sweep, state } of sweeps) if (state === "running") await agent.call("stop_sweep", { sweep });
});

test("those that run code ask their user; those that read don't", async () => {
  const { tools } = await agent.client.listTools();
  const hints = Object.fromEntries(tools.map(({ name, annotations }) => [name, annotations]));
  for (const name of ["start_sweep", "resume_sweep"])
    expect(hints[name], name).toMatchObject({ readOnlyHint: false, openWorldHint: true });
  expect(hints["stop_sweep"]).toMatchObject({ readOnlyHint: false, destructiveHint: true });
  for (const name of ["get_sweep", "wait_for_sweep", "list_sweeps"])
    expect(hints[name], name).toMatchObject({ readOnlyHint: true, openWorldHint: false });
});

describe("a sweep", () => {
  test("is started, followed, and gives the best settings, with which a training repeats the trial", async () => {
    workspace.write("net.nn.ts", sweptFile());
    const options = { trials: 6, parallel: 2, seed: 3, device: "cpu" };
    const { sweep, state } = await start(options);
    expect(state).toBe("running");
    expect(await agent.refusal("start_sweep", { file: "net.nn.ts" })).toContain("running already");
    const told: string[] = [];
    const { structuredContent } = await agent.client.callTool(
      { name: "wait_for_sweep", arguments: { sweep, seconds: 110 } },
      { timeout: 120_000, onprogress: ({ message = "" }) => told.push(message) },
    );
    expect(told).toContainEqual(expect.stringMatching(/^\d of 6 trials/));
    expect(structuredContent).toMatchObject({
      ended: true,
      state: "finished",
      file: "net.nn.ts",
      metric: "val_loss",
      mode: "min",
      seed: 3,
      trials: 6,
      parallel: 2,
      counts: { complete: 6 },
    });

    // The answers agree with the records.
    const { record, trials } = findSweep(workspace);
    expect(record.id).toBe(sweep);
    const first = await agent.call<Details>("get_sweep", { sweep, limit: 4 });
    const rest = await agent.call<Details>("get_sweep", { sweep, limit: 4, offset: first.next });
    expect([first.total, first.next, rest.next]).toEqual([6, 4, undefined]);
    const list = [...first.list, ...rest.list];
    expect(list).toEqual(
      trials
        .toSorted((a, b) => a.value! - b.value!)
        .map(({ number: trial, settings, run, value, epoch }) => ({
          trial,
          state: "complete",
          settings,
          run,
          value,
          epoch,
        })),
    );
    expect(first.best).toEqual(list[0]);
    expect(first.importance.map(({ name }) => name).toSorted()).toEqual(["dropout", "layers", "lr", "width"]);
    const values = first.importance.map(({ value }) => value);
    expect(values).toEqual(values.toSorted((a, b) => b - a));

    // A trial is a run, and its settings make the same one again.
    const { run, settings: hyperparameters, value } = list[0]!;
    expect(await agent.call("get_run", { run })).toMatchObject({ state: "finished" });
    const again = await agent.call<{ run: string }>("train", {
      file: "net.nn.ts",
      device: "cpu",
      hyperparameters,
    });
    const trained = await agent.call<{ best: object }>("wait_for_run", { run: again.run, seconds: 60 });
    expect(trained).toMatchObject({ state: "finished", best: { value } });
    const unknown = { file: "net.nn.ts", hyperparameters: { depth: 3 } };
    const { run: wrong } = await agent.call<{ run: string }>("train", unknown);
    expect(await agent.call("wait_for_run", { run: wrong, seconds: 60 })).toMatchObject({
      error: { message: expect.stringContaining("no hyperparameter 'depth'") },
    });
    const { sweeps } = await agent.call<{ sweeps: Details[] }>("list_sweeps");
    expect(sweeps[0]).toMatchObject({ sweep, state: "finished", best: { run } });
  });

  test("is stopped after its current steps, and resumed", async () => {
    workspace.write("net.nn.ts", long());
    const { sweep } = await start({ trials: 3, parallel: 2, device: "cpu" });
    await expect
      .poll(async () => (await agent.call<Details>("get_sweep", { sweep })).list, { timeout: 60_000 })
      .toEqual(
        [0, 1].map((trial) =>
          expect.objectContaining({
            trial,
            state: "running",
            epoch: expect.toSatisfy((x: number) => x > 1),
            value: expect.any(Number),
          }),
        ),
      );
    expect(await agent.call("wait_for_sweep", { sweep, seconds: 0.1 })).toMatchObject({
      ended: false,
      state: "running",
    });
    const stopped = await agent.call<Details>("stop_sweep", { sweep });
    expect(stopped).toMatchObject({ state: "stopped", counts: { interrupted: 2 } });
    // Stopping it twice changes nothing.
    expect(await agent.call("stop_sweep", { sweep })).toEqual(stopped);
    const { list } = await agent.call<Details>("get_sweep", { sweep });
    const steps = list.map(({ run }) => readRun(workspace.file(`.layerwise/runs/${run}`)).step);

    workspace.write("net.nn.ts", long().replace("setTimeout(resolve, 50)", "setTimeout(resolve, 51)"));
    expect(await agent.call<Details>("resume_sweep", { sweep })).toMatchObject({ sweep, state: "running" });
    await expect
      .poll(() => list.map(({ run }) => readRun(workspace.file(`.layerwise/runs/${run}`)).step), {
        timeout: 60_000,
      })
      .toEqual(steps.map((step) => expect.toSatisfy((x: number) => x > step)));
    expect(await agent.call("stop_sweep", { sweep })).toMatchObject({ state: "stopped", trials: 3 });
    workspace.write("net.nn.ts", long().replace("layers: sweep.int(1, 3)", "layers: sweep.int(1, 4)"));
    expect(await agent.refusal("resume_sweep", { sweep })).toContain("search space of net.nn.ts has changed");
  });

  describe("of a client that leaves", () => {
    const other = useAgent(() => workspace.folder, { LAYERWISE_DEVICE: "cpu" });

    test("ends with it; another client reads and stops nothing of it before, and resumes it then", async () => {
      workspace.write("net.nn.ts", long());
      const options = { file: "net.nn.ts", trials: 2, device: "cpu" };
      const { sweep } = await other.call<Details>("start_sweep", options);
      expect(await agent.call("get_sweep", { sweep })).toMatchObject({ state: "running" });
      expect(await agent.refusal("stop_sweep", { sweep })).toContain("Another process runs this sweep");
      expect(await agent.refusal("resume_sweep", { sweep })).toContain("is running here");
      await expect
        .poll(async () => (await agent.call<Details>("get_sweep", { sweep })).list, { timeout: 60_000 })
        .toMatchObject([{ state: "running", epoch: expect.toSatisfy((x: number) => x > 0) }]);
      await other.client.close();
      await expect
        .poll(async () => (await agent.call<Details>("get_sweep", { sweep })).state, { timeout: 60_000 })
        // Of a client that ends the server before that has saved, the latter.
        .toBeOneOf(["stopped", "interrupted"]);
      expect(await agent.call("resume_sweep", { sweep })).toMatchObject({ state: "running" });
      expect(await agent.call("stop_sweep", { sweep })).toMatchObject({ state: "stopped" });
    });
  });

  test("of a grid prunes by successive halving, and never has more trials than combinations", async () => {
    workspace.write(
      "net.nn.ts",
      experimentFile({
        sweep: "{ lr: sweep.choice(0.3, 1e-9, 1e-8, 1e-7, 1e-6) }",
        optimizer: "(parameters, { lr }) => new optim.SGD(parameters, { lr })",
        callbacks: slowLosers("onEpochEnd", 300),
      }).replace("experiment, type", "experiment, sweep, type"),
    );
    const { sweep, trials } = await start({
      search: "grid",
      pruner: "asha",
      gracePeriod: 2,
      epochs: 20,
      trials: 100,
      metric: "loss",
      mode: "min",
    });
    expect(trials).toBe(5);
    expect(await waited(sweep)).toMatchObject({
      state: "finished",
      metric: "loss",
      counts: { complete: 1, pruned: 4 },
      best: { trial: 0, settings: { lr: 0.3 } },
      importance: [],
    });
  });

  test("of a file without one, of one that fails or hangs, isn't begun; the next one is", async () => {
    workspace.write("net.nn.ts", experimentFile());
    expect(await agent.refusal("start_sweep", { file: "net.nn.ts" })).toContain("has no sweep");
    workspace.write("net.nn.ts", sweptFile({ seed: "oops" }));
    expect(await agent.refusal("start_sweep", { file: "net.nn.ts" })).toContain("oops is not defined");
    workspace.write("net.nn.ts", sweptFile());
    expect(await agent.refusal("start_sweep", { file: "net.nn.ts", search: "grid" })).toContain(
      "lr has none",
    );
    expect(await agent.refusal("start_sweep", { file: "net.nn.ts", exportName: "other" })).toContain("other");
    const { total } = await agent.call<{ total: number }>("list_sweeps");
    workspace.write(
      "waits.nn.ts",
      `await new Promise((resolve) => setTimeout(resolve, 1e9));\n${sweptFile()}`,
    );
    const cancelled = new AbortController();
    const hung = agent.client.callTool(
      { name: "start_sweep", arguments: { file: "waits.nn.ts" } },
      { signal: cancelled.signal },
    );
    setTimeout(() => cancelled.abort(), 2000);
    await expect(hung).rejects.toThrow();
    await expect
      .poll(() => agent.refusal("start_sweep", { file: "net.nn.ts", search: "grid" }), { timeout: 60_000 })
      .toContain("lr has none");
    expect(await agent.call("list_sweeps")).toMatchObject({ total });
    workspace.write("net.nn.ts", sweptFile({ model: "() => { throw new Error('never'); }" }));
    const { sweep } = await start({ trials: 4 });
    expect(await waited(sweep)).toMatchObject({
      state: "failed",
      error: { message: expect.stringContaining("never") },
    });
    const { list } = await agent.call<Details>("get_sweep", { sweep });
    expect(list.map(({ state }) => state)).toEqual(list.map(() => "failed"));
  });
});
