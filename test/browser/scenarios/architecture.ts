import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import type { Frame } from "playwright-core";
import { BOUNDS, quantile } from "../../bounds.ts";
import { test, until } from "../../harness.ts";
import { simpleNN, writeModel } from "../../models.ts";
import { temporaryFolder } from "../library/browser.ts";
import { familyOf } from "../../processes.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";
import type { Workbench } from "../library/workbench.ts";
import { accessibilityProblems } from "../library/trainingPanel.ts";

const MODEL = "residual.nn.ts";

/** A residual network; `activation` and the number of blocks are what is changed of it. */
const residual = (
  activation: string,
  blocks: string,
): string => `import { data, experiment, F, nn, optim, torch, type Tensor } from "layerwise";

class Block extends nn.Module {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;

  constructor(channels: number) {
    super();
    this.conv1 = new nn.Conv2d(channels, channels, 3, { padding: 1 });
    this.bn1 = new nn.BatchNorm2d(channels);
    this.conv2 = new nn.Conv2d(channels, channels, 3, { padding: 1 });
    this.bn2 = new nn.BatchNorm2d(channels);
  }

  forward(x: Tensor): Tensor {
    const y = F.relu(this.bn1(this.conv1(x)));
    return F.relu(this.bn2(this.conv2(y)).add(x));
  }
}

class ResNet extends nn.Module {
  stem = new nn.Sequential(new nn.Conv2d(1, 16, 3, { padding: 1 }), new nn.${activation}());
  blocks = new nn.Sequential(${blocks});
  pool = new nn.AdaptiveAvgPool2d(1);
  head = new nn.Linear(16, 10);

  forward(x: Tensor): Tensor {
    x = this.blocks(this.stem(x));
    return this.head(this.pool(x).flatten(1));
  }
}

export default experiment({
  seed: 0,
  model: () => new ResNet(),
  data: () => new data.TensorDataset(torch.randn(64, 1, 8, 8), torch.randint(0, 10, [64])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
  epochs: 5,
});
`;

const BLOCKS = "new Block(16), new Block(16), new Block(16)";
const GOOD = residual("ReLU", BLOCKS);

function committed(folder: string): void {
  writeModel(folder, MODEL, residual("Tanh", "new Block(16), new Block(16)"));
  for (const args of [
    ["init"],
    ["add", "."],
    ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-m", "model"],
  ])
    execFileSync("git", args, { cwd: folder, stdio: "ignore" });
}

const shown = (frame: Frame): Promise<string> => frame.locator("main").innerText();

test("the architecture: drawn, compared with git's HEAD, measured, and kept through code that hangs or dies", async () => {
  const folder = temporaryFolder("workspace");
  committed(folder);
  writeModel(folder, MODEL, GOOD);
  const workbench = await openWorkbench({ folder, settings: { "layerwise.preview.timeLimit": 1 } });
  await workbench.activated();
  await workbench.openFile(MODEL);
  await workbench.clickLens("Preview", () => workbench.webviewFrame.waitFor({ timeout: 10_000 }));
  const frame = await workbench.webview("architecture");
  await frame.locator('.box[data-id="blocks/0"]').waitFor({ timeout: 20_000 });
  await workbench.screenshot("architecture");

  await workbench.command("Layerwise: Compare Architecture with Git HEAD");
  await frame.getByText("1 changed").waitFor({ timeout: 20_000 });
  const compared = (await frame.locator(".comparison").innerText()).replaceAll(/\s+/g, " ");
  assert.match(compared, /stem\.1 ReLU Tanh → ReLU/);
  assert.match(compared, /blocks\.2 Block \+4,704/);
  await workbench.screenshot("architecture-compared");
  assert.deepEqual(await accessibilityProblems(frame), []);
  await frame.getByRole("button", { name: "End comparison" }).click();
  await frame.locator(".comparison").waitFor({ state: "detached" });

  await frame.getByRole("button", { name: "Profile a training step" }).click();
  await frame.locator(".heat").first().waitFor({ timeout: 60_000 });
  const measured = (await frame.locator(".profile-bar").innerText()).replaceAll(/\s+/g, " ");
  assert.match(measured, /A step of 64 samples on .* Op by op/);
  await workbench.screenshot("architecture-profile");
  await frame.getByRole("button", { name: "Close profile" }).click();
  await frame.locator(".profile-bar").waitFor({ state: "detached" });

  for (const [part, fault, message] of [
    ["    super();\n", "    super();\n    for (;;);\n", /endless loop[^]*residual\.nn\.ts:11:/],
    [
      "    x = this.blocks",
      '    process.kill(process.pid, "SIGKILL");\n    x = this.blocks',
      /ended while it ran/,
    ],
  ] as const) {
    writeModel(folder, MODEL, GOOD.replace(part, fault));
    await until(`the message of ${fault}`, async () => message.test(await shown(frame)), 20_000);
    assert.equal(await frame.locator(".error-box").count(), 1);
    assert.equal(await frame.locator(".stale .picture").count(), 1, "the last good diagram stays, dimmed");
    writeModel(folder, MODEL, GOOD);
    await until("the model again", async () => (await frame.locator(".stale").count()) === 0, 20_000);
  }
  assert.deepEqual(workbench.complaints, []);
  await closeWorkbench(workbench);
}, 120_000);

/** What passed between the keys of the command and the diagram, in milliseconds. */
interface Preview {
  /** All of it. */
  took: number;
  /** Until VS Code had a page for the panel. */
  page: number;
}

const engines = ({ processGroup }: Workbench) =>
  familyOf(processGroup).filter(({ command }) => command.includes("previewEngine"));

/** Opens the preview of the file in the editor with its keys. */
async function preview(workbench: Workbench): Promise<Preview> {
  const { page } = workbench;
  const before = new Set(page.frames());
  const now = (): Promise<number> => page.evaluate(() => performance.timeOrigin + performance.now());
  await page.keyboard.press("Control+K");
  const began = await now();
  await page.keyboard.press("v");
  const [made, drawn] = await until(
    "a diagram",
    async () => {
      for (const frame of page.frames().filter((one) => !before.has(one))) {
        const times = await frame
          .evaluate(() => {
            const [mark] = performance.getEntriesByName("diagram drawn");
            return mark && [performance.timeOrigin, performance.timeOrigin + mark.startTime];
          })
          .catch(() => undefined);
        if (times !== undefined) return times as [number, number];
      }
      return undefined;
    },
    20_000,
  );
  return { took: drawn - began, page: made - began };
}

test("latency: the preview is drawn in a moment, with and without a process to start", async (note) => {
  const folder = temporaryFolder("workspace");
  writeModel(folder, MODEL, GOOD);
  writeModel(folder, "simple.nn.ts", simpleNN(5));
  // Nothing but the panel asks for a preview, so that a process that is gone is started by it.
  const quiet = [
    "diagnostics.enabled",
    "lenses.enabled",
    "hovers.enabled",
    "hints.shapes",
    "hints.parameters",
  ];
  const settings = Object.fromEntries(quiet.map((name) => [`layerwise.${name}`, false]));
  const workbench = await openWorkbench({ folder, settings });
  const { page } = workbench;
  const opened: Record<"cold" | "warm", Preview[]> = { cold: [], warm: [] };
  await workbench.openFile(MODEL);
  await workbench.activated();
  for (let i = 0; i < 3; i++)
    for (const state of ["cold", "warm"] as const) {
      await workbench.openFile(state === "cold" ? MODEL : "simple.nn.ts");
      if (state === "cold") {
        for (const { pid } of engines(workbench)) process.kill(pid, "SIGKILL");
        await until("no process", () => engines(workbench).length === 0);
      }
      opened[state].push(await preview(workbench));
      await workbench.command("View: Close All Editors");
      await page.locator("iframe.webview").first().waitFor({ state: "detached" });
    }
  await closeWorkbench(workbench);
  const list = (previews: readonly Preview[]): string =>
    previews.map((one) => `${(one.took - one.page).toFixed(0)} (+ ${one.page.toFixed(0)})`).join(", ");
  note(`cold ${list(opened.cold)}, warm ${list(opened.warm)} ms (+ VS Code's for a page)`);
  const ours = (previews: readonly Preview[]): number => quantile(previews.map((one) => one.took - one.page));
  assert.ok(ours(opened.warm) < BOUNDS.warmPreview, "warm");
  assert.ok(ours(opened.cold) < BOUNDS.coldPreview, "cold");
}, 120_000);
