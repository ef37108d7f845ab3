// How often the workers of a training exchange tensors: as TensorFlow counts them, whose log has each collective that it starts.
import path from "node:path";
import { expect, it } from "vitest";
import { useFolder } from "../../folders.ts";
import { describeUnless } from "../../unless.ts";
import { start, unable } from "./training.ts";
import { slow } from "../../slow.ts";

const folder = useFolder("all");
const TENSORFLOW_LOG = { TF_CPP_MIN_LOG_LEVEL: "0", TF_CPP_VMODULE: "collective_ops=1" };
/** Batches of an epoch: 98 samples, 16 in a batch, 2 in the last. */
const BATCHES = 7;
const EPOCHS = 60;

interface Exchanges {
  /** By the graphs of steps. */
  graph: number;
  /** By the launcher's protocol: the first worker's clock and requests, about ten times a second. */
  other: number;
}

/** The exchanges of the first worker, whose output is that of the training. */
async function exchanges(model: string, epochs: number): Promise<Exchanges> {
  const words = ["--workers", "2", "--epochs", String(epochs)];
  const { ended } = start(path.join(folder, `${model}-${epochs}`), model, { env: TENSORFLOW_LOG }, ...words);
  const { code, text } = await ended;
  expect(code, text.slice(-2000)).toBe(0);
  const started = [...text.matchAll(/ExecuteAsync start for collective (\S+)/g)].map(([, name]) => name!);
  const graph = started.filter((name) => /all(Reduce|Gather)/.test(name)).length;
  return { graph, other: started.length - graph };
}

describeUnless(unable, "workers exchange", () => {
  it("gradients, their norm, the loss and metrics at once: one collective a step", async () => {
    const steps = EPOCHS * BATCHES;
    const { graph, other } = await exchanges("measured", EPOCHS);
    expect(graph).toBe(steps);
    expect(other, "besides steps").toBeLessThan(steps);
  });

  it(
    "nothing while they accumulate gradients: one collective for three batches, with all their losses",
    slow,
    async () => {
      expect((await exchanges("accumulated", 8)).graph).toBe(8 * Math.ceil(BATCHES / 3));
    },
  );
});
