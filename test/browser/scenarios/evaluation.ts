import assert from "node:assert/strict";
import { row, until } from "../../harness.ts";
import { newestRun } from "../../runDirectories.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { accessibilityProblems } from "../library/accessibility.ts";
import { TrainingPanel } from "../library/trainingPanel.ts";

const test = row("examples");

test("digits: Evaluate, down to a cell's samples, and a digit drawn by hand", async () => {
  const workbench = await sharedWorkbench("examples");
  const { page } = workbench;
  await workbench.activated();
  await workbench.openFile("digits.nn.ts");
  await workbench.lens("parameters").waitFor();
  await workbench.openByLens("Train", "Training");
  await (await TrainingPanel.of(workbench)).reaches("finished", 60_000);
  await workbench.openByLens("Evaluate", "Evaluation");
  const frame = await workbench.webview("evaluation");
  await frame.locator('.badge[data-state="finished"]').waitFor();
  const run = newestRun(workbench.folder);
  assert.ok(run?.kind === "evaluate" && run.metrics["accuracy"]! > 0.95, JSON.stringify(run?.metrics));

  // A cell of the diagonal: its samples come from a process that this starts.
  const cell = frame.locator('.cell[data-actual="3"][data-predicted="3"]');
  const count = Number(await cell.innerText());
  await cell.click();
  await frame.getByText("Actual 3, predicted 3").waitFor();
  const cards = frame.locator(".card");
  await until("the cell's samples", async () => (await cards.count()) === Math.min(count, 24), 30_000);
  await frame.getByText(`${Math.min(count, 24)} of ${count}`).waitFor();

  // A vertical line is a one.
  const pad = frame.locator("canvas.pad");
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  assert.ok(box);
  const at = (x: number, y: number): [number, number] => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(0.4, 0.3));
  await page.mouse.down();
  await page.mouse.move(...at(0.52, 0.15), { steps: 4 });
  await page.mouse.move(...at(0.52, 0.85), { steps: 8 });
  await page.mouse.up();
  await frame.locator(".prediction b").waitFor();
  await until("the one", async () => (await frame.locator(".prediction b").innerText()) === "1");
  assert.equal(await frame.locator(".maps img").count(), 16);
  await frame.locator(".saliency").waitFor();
  await until("the last answer", async () => (await frame.getByText("Asking…").count()) === 0);
  await workbench.command("View: Close Primary Side Bar");
  await frame.locator(".section-ask").evaluate((section) => section.scrollIntoView());
  await workbench.screenshot("evaluation");
  assert.deepEqual(await accessibilityProblems(frame), []);

  // The channels that the class depends on, and the prediction without the most important one.
  await cards.first().click();
  await frame.locator(".prediction b", { hasText: "3" }).waitFor();
  await frame.locator(".intervene-fold summary").first().click();
  const units = frame.locator("[data-unit]");
  await until("the channels of the first convolution", async () => (await units.count()) === 16, 30_000);
  assert.equal(await units.locator("img").count(), 16);
  await frame.getByRole("radio", { name: "Class 3" }).check({ force: true });
  await frame.locator("vscode-button", { hasText: "Rank Units" }).click();
  const ranked = frame.locator(".ranked tbody tr");
  await until("the ranking", async () => (await ranked.count()) === 16, 30_000);
  const changes = (await ranked.locator("td.number:nth-of-type(2)").allInnerTexts()).map((change) =>
    Math.abs(Number(change.replace("−", "-"))),
  );
  assert.ok(changes[0]! > 0, String(changes));
  assert.deepEqual(
    changes,
    changes.toSorted((a, b) => b - a),
  );
  await ranked.first().getByRole("button").click();
  await frame.locator('[data-unit][aria-selected="true"]').waitFor();
  const loss = frame.locator(".intervene-outcome .pairs div", { hasText: "Loss" });
  await loss.getByText("→").waitFor();
  await frame.locator(".section-intervene").evaluate((section) => section.scrollIntoView());
  await workbench.screenshot("intervene");
  assert.deepEqual(await accessibilityProblems(frame), []);

  // Output of the first convolution for that sample, as a table.
  await frame.locator("vscode-button", { hasText: "View Tensor" }).click();
  const tensor = await workbench.webview("tensor", 30_000);
  await tensor.getByText("[1, 16, 8, 8]").waitFor();
  await tensor.getByText(/, sample \d+/).waitFor();
  await tensor.locator('[id="cell-0-0"]').waitFor();
  assert.ok((await tensor.locator(".slices").innerText()).includes("1: channels (16)"));
  assert.deepEqual(workbench.complaints, []);
}, 180_000);
