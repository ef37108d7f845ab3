import path from "node:path";
import { loadExecutor, type LoadedExecutor } from "../executors/index.ts";
import { nativeStatus } from "../native/status.ts";
import type { Device } from "../protocol/device.ts";
import { getRngState, setRngState } from "../tensor/functions/creation/random.ts";
import { withPolicy } from "../tensor/recording/runtime.ts";
import { library } from "./host/library.ts";
import { loadUserModule } from "./host/userModule.ts";
import { startState } from "./training/trainerState.ts";

let loaded: { device: Device; executor: LoadedExecutor } | undefined;

/** The executor of this process for trainings, which may have been loaded by {@link warmUp}. */
export async function executorOf(device: Device): Promise<LoadedExecutor> {
  if (loaded?.device !== device || outdated(loaded.executor))
    loaded = { device, executor: await loadExecutor(device) };
  return loaded.executor;
}

/** Has the next run compute with an executor of its own, as in a new process. */
export function dropExecutor(): void {
  loaded?.executor.close();
  loaded = undefined;
}

/** The native engine may have been installed since. */
function outdated({ info }: LoadedExecutor): boolean {
  return info.backend !== "tensorflow" && info.reason !== undefined && nativeStatus().state === "installed";
}

/**
 * A few steps of small networks of all kinds: everything on the way from a file to updated weights runs once. They are
 * computed as the first ones of a training are, and draw numbers until V8 has compiled that too.
 */
const PROGRAM = `import { nn, optim, torch } from "layerwise";
class Words extends nn.Module {
  embedding = new nn.Embedding(8, 8);
  encoder = new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 8, batchFirst: true });
  lstm = new nn.LSTM(8, 8, { batchFirst: true });
  fc = new nn.Linear(8, 2);
  forward(x) {
    const [out] = this.lstm(this.encoder(this.embedding(x)));
    return this.fc(out.mean(1));
  }
}
class Images extends nn.Module {
  layers = new nn.Sequential(
    new nn.Conv2d(1, 2, 3), new nn.BatchNorm2d(2), new nn.ReLU(), new nn.MaxPool2d(2), new nn.Flatten(), new nn.Linear(18, 2),
  );
  forward(x) {
    return this.layers(x);
  }
}
const criterion = new nn.CrossEntropyLoss();
const targets = torch.zeros([4], { dtype: torch.int64 });
for (const [model, inputs] of [[new Words(), torch.randint(0, 8, [4, 4])], [new Images(), torch.randn(4, 1, 8, 8)]]) {
  const optimizer = new optim.Adam(model.parameters());
  for (let step = 0; step < 3; step++) {
    optimizer.zeroGrad();
    const loss = criterion(model(inputs), targets);
    loss.backward();
    optimizer.step();
    loss.item();
  }
}
torch.randn(100_000).toTypedArray();
torch.rand(100_000).toTypedArray();`;

/**
 * Does ahead of a run what every run begins with: starts esbuild, loads what computes, and has a small network trained,
 * since the first graph of a process takes several times as long as the next. Leaves nothing that a run could see.
 */
export async function warmUp(device: Device): Promise<void> {
  await executorOf(device);
  const generator = getRngState();
  const file = path.resolve("warm-up.nn.ts");
  const policy = { compileAtOnce: true, training: startState() };
  const run = withPolicy(policy, () => loadUserModule(file, { text: PROGRAM, library }));
  (await run).dispose();
  setRngState(generator);
  // Its counts are those of a new process: what is compiled depends on them.
  loaded = { device, executor: await loadExecutor(device) };
}
