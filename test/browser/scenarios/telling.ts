/** Announcements of a training to screen readers, and its sounds. */
import assert from "node:assert/strict";
import type { Frame } from "playwright-core";
import { row, until } from "../../harness.ts";
import { writeModel } from "../../models.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";
import { noteFromNowOn, soundsOf, toldBy } from "../library/telling.ts";

const test = row("examples");

const MODEL = "spiky.nn.ts";

/** A file with the number of epochs that it may train: it waits until the panel is there. */
const ALLOWED = "allowed-epochs";

/** Fits a line; the loss of one step is a thousand times as large, and that of the last epoch's end stops it. */
const source = `import fs from "node:fs";
import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

class Spiky extends nn.Sequential {
  constructor() {
    super(new nn.Linear(4, 1));
  }
}

let step = 0;
const loss = (output: Tensor, target: Tensor): Tensor => {
  const mse = torch.square(output.sub(target)).mean();
  return ++step === 100 ? mse.mul(1000) : mse;
};

export default experiment({
  seed: 0,
  model: () => new Spiky(),
  data: () => new data.TensorDataset(torch.randn(80, 4), torch.randn(80, 1)),
  loss,
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 1e-4 }),
  batchSize: 10,
  earlyStopping: { monitor: "loss", minDelta: 1e9, patience: 20 },
  callbacks: {
    onEpochEnd: async ({ epoch }) => {
      do await new Promise((resolve) => setTimeout(resolve, 200));
      while (epoch >= Number(fs.readFileSync("${ALLOWED}", "utf8")));
    },
  },
  epochs: 200,
});
`;

test("a spike and an early end are told to screen readers, and by sounds where those are switched on", async () => {
  const workbench = await sharedWorkbench("examples");
  await workbench.activated();
  const allow = (epochs: number): string => writeModel(workbench.folder, ALLOWED, String(epochs));
  // By default, progress that other announcements hid is announced ten seconds later.
  workbench.useSettings({ "layerwise.accessibility.progressInterval": 1 });
  allow(1);
  writeModel(workbench.folder, MODEL, source);
  await workbench.openFile(MODEL);
  await workbench.openByLens("Train", "Training");
  const panel = await TrainingPanel.of(workbench);
  // An epoch that is over when the state changes is not announced.
  await panel.reaches("running");
  await noteFromNowOn(panel.frame);
  allow(200);
  await tells(panel.frame, 0);
  assert.deepEqual(await soundsOf(panel.frame), [], "sounds are off by default");

  workbench.useSettings({ "layerwise.accessibility.sounds": true });
  allow(1);
  const from = (await toldBy(panel.frame)).length;
  const first = await panel.run();
  await panel.press("Train Again");
  await until("another run", async () => (await panel.run()) !== first);
  await panel.reaches("running");
  allow(200);
  await tells(panel.frame, from);
  const [spike, end] = [
    ["context", 880, 880],
    ["context", 523, 784],
  ] as const;
  await until("the sound of the end", async () => (await soundsOf(panel.frame)).at(-1) === end[2]);
  assert.deepEqual(await soundsOf(panel.frame), [...spike, ...end]);
  assert.deepEqual(workbench.complaints, []);
}, 180_000);

/** Checks the announcements from an index on. A spike soon after another is told later: perhaps after the end. */
async function tells(frame: Frame, from: number): Promise<void> {
  for (const text of [
    /^Epoch \d+ of 200\. loss [\d.]+/,
    /^Spike at step 100: loss \d+\.\d+, \d\.\d+ before\.$/,
    /Ended after epoch 21 by early stopping: loss has not improved in the last 20 checks/,
    /Finished\. loss/,
  ])
    await until(
      String(text),
      async () => (await toldBy(frame)).slice(from).some((told) => text.test(told.trim())),
      30_000,
    );
}
