import fs from "node:fs";
import { test } from "../../harness.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";
import { temporaryFolder } from "../library/browser.ts";

test("lens", async () => {
  const folder = temporaryFolder("x");
  fs.writeFileSync(
    folder + "/simple.nn.ts",
    `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

export class SimpleNN extends nn.Module {
  fc1: nn.Linear;
  forward(x: Tensor): Tensor { return this.fc1(x); }
}

export default experiment({
  seed: 0,
  model: () => new SimpleNN(10, 5, 2),
  data: () => new data.TensorDataset(torch.randn(100, 10), torch.randint(0, 2, [100])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
  epochs: 100,
});
`,
  );
  const w = await openWorkbench({ folder });
  await w.activated();
  await w.openFile("simple.nn.ts");
  await w.lens("Train").waitFor();
  await w.showSideBar();
  await w.screenshot("probe");
  await closeWorkbench(w);
}, 90_000);
