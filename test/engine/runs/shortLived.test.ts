// Objects of graphs that are garbage at once must not be kept with those of the graphs before, which were long alive.
import { expect, test } from "vitest";
import { nativeStatus } from "../../../extension/native/status.ts";
import { useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();
const native = nativeStatus().state === "installed";

/** Large graphs of a training, then 600 small ones. Prints by how many megabytes the memory of old objects has grown. */
const PROGRAM = `
import v8 from "node:v8";
import { torch, nn, optim, print, type Tensor } from "layerwise";

const cell = new nn.RNNCell(16, 16);
const optimizer = new optim.SGD(cell.parameters(), { lr: 0.01 });
function unrolled(steps: number): Tensor {
  let h = torch.zeros(1, 16);
  for (let i = 0; i < steps; i++) h = torch.tanh(h.matmul(cell.weightHh.T).add(h.mul(0.5)).add(1));
  return h.mean();
}
for (let step = 0; step < 12; step++) {
  const loss = unrolled(400);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  loss.item();
}
const spaces = v8.getHeapSpaceStatistics();
const at = spaces.findIndex((space) => space.space_name === "old_space");
const old = () => v8.getHeapSpaceStatistics()[at].space_used_size / 2 ** 20;
let [grown, before] = [0, old()];
torch.noGrad(() => {
  for (let i = 0; i < 600; i++) {
    unrolled(40).item();
    const now = old();
    grown += Math.max(0, now - before);
    before = now;
  }
});
print(grown);
`;

test.skipIf(!native)(
  "small graphs after a training's large ones leave no garbage among old objects",
  async () => {
    workspace.write("loop.nn.ts", PROGRAM);
    const { stdout, stderr, code } = await workspace.run(["run", "loop.nn.ts", "--device", "native"]);
    expect(code, stderr).toBe(0);
    // 5 to 8, mostly of compiled code; 64 to 70 where V8 allocates some of the nodes as old objects.
    expect(Number(stdout)).toBeLessThan(30);
  },
);
