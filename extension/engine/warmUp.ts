import path from "node:path";
import { loadExecutor, type LoadedExecutor } from "../executors/index.ts";
import { nativeStatus } from "../native/status.ts";
import type { Device } from "../protocol/engine.ts";
import { getRngState, setRngState } from "../tensor/functions/random.ts";
import { library } from "./library.ts";
import { loadUserModule } from "./userModule.ts";

let loaded: { device: Device; executor: LoadedExecutor } | undefined;

/** The executor of this process, which may have been loaded by {@link warmUp}. */
export async function executorOf(device: Device): Promise<LoadedExecutor> {
  if (loaded?.device !== device || outdated(loaded.executor))
    loaded = { device, executor: await loadExecutor(device) };
  return loaded.executor;
}

/** The native engine may have been installed since. */
function outdated({ info }: LoadedExecutor): boolean {
  return info.reason !== undefined && nativeStatus().state === "installed";
}

/** A few steps of a network: everything on the way from a file to updated weights runs once. */
const PROGRAM = `import { nn, optim, torch } from "layerwise";
const model = new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 2));
const optimizer = new optim.Adam(model.parameters());
const criterion = new nn.CrossEntropyLoss();
const inputs = torch.ones([8, 4]);
const targets = torch.zeros([8], { dtype: torch.int64 });
for (let step = 0; step < 4; step++) {
  optimizer.zeroGrad();
  const loss = criterion(model(inputs), targets);
  loss.backward();
  optimizer.step();
  loss.item();
}`;

/**
 * Does ahead of a run what every run begins with: starts esbuild, loads what computes, and has a small network trained,
 * since the first graph of a process takes several times as long as the next. Leaves nothing that a run could see.
 */
export async function warmUp(device: Device): Promise<void> {
  await executorOf(device);
  const generator = getRngState();
  const file = path.resolve("warm-up.nn.ts");
  (await loadUserModule(file, { text: PROGRAM, library })).dispose();
  setRngState(generator);
}
