import assert from "node:assert/strict";
import { BOUNDS } from "../../bounds.ts";
import { test, until } from "../../harness.ts";
import { simpleNN, writeModel } from "../../models.ts";
import { temporaryFolder } from "../library/browser.ts";
import { closeWorkbench, openWorkbench } from "../library/tier.ts";

const LIMIT = BOUNDS.activation;

test(`a window on a folder with a model activates the extension in less than ${LIMIT} ms`, async (note) => {
  const folder = temporaryFolder("workspace");
  writeModel(folder, "simple.nn.ts", simpleNN(100));
  const workbench = await openWorkbench({ folder });
  await workbench.activated();
  await workbench.command("Developer: Show Running Extensions");
  // VS Code's own figure: loading the code and the call of activate().
  const row = workbench.page.locator(".runtime-extensions-editor .monaco-list-row", { hasText: "Layerwise" });
  const took = await until("the activation time", async () => {
    const text = await row.first().innerText({ timeout: 1000 });
    return Number(/Activation: (\d+)ms/.exec(text)?.[1]);
  });
  note(`activation took ${took} ms`);
  assert.ok(took < LIMIT, `activation took ${took} ms`);
  await closeWorkbench(workbench);
}, 90_000);
