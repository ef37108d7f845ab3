import assert from "node:assert/strict";
import { encodePng } from "../../../../extension/formats/images/png.ts";
import type { Picture } from "../../../../extension/protocol/views.ts";
import { test, until } from "../../../harness.ts";
import { recording, runningAt } from "../recordings.ts";
import { open } from "../trainingPage.ts";

const drawn = (at: number): Picture => ({
  file: `epoch-0000${at}-digits.png`,
  name: "digits",
  at,
  unit: "epoch",
});
const png = (grey: number): string =>
  encodePng({ width: 4, height: 4, data: new Uint8Array(48).fill(grey) }).toString("base64");

test("pictures: the newest is shown while a training draws, or the one that was chosen", async () => {
  const pictures = [drawn(1), drawn(2)];
  const snapshot = runningAt(200);
  const panel = await open(snapshot, {
    host: {
      pictures: () => Promise.resolve(pictures),
      picture: (file) => Promise.resolve(png(Number(/\d+/.exec(file)![0]))),
    },
  });
  const { page, view } = panel;
  const shows = (epoch: number): Promise<unknown> =>
    until(`the picture of epoch ${epoch}`, async () => {
      const image = page.getByRole("img", { name: `digits after epoch ${epoch}` });
      const source = (await image.count()) === 1 && (await image.getAttribute("src"));
      return source === `data:image/png;base64,${png(epoch)}`;
    });
  await shows(2);
  pictures.push(drawn(3));
  const { progress } = snapshot;
  await view.progress({ ...progress!, stepInEpoch: progress!.stepInEpoch + 1 });
  await shows(3);
  const slider = page.locator(".section-pictures").getByLabel("Epoch");
  await slider.press("Home");
  await shows(1);
  // Pictures that are drawn meanwhile don't replace the chosen one.
  pictures.push(drawn(4));
  await view.progress({ ...progress!, stepInEpoch: progress!.stepInEpoch + 2 });
  await until("four pictures", async () => (await slider.getAttribute("max")) === "3");
  await shows(1);
  await slider.press("End");
  await shows(4);
  assert.deepEqual(await panel.complaints(), []);
});

test("pictures: a training that draws none has no such section", async () => {
  const panel = await open({ ...runningAt(200), rows: recording().rows.slice(0, 200) });
  await panel.page.waitForTimeout(200);
  assert.equal(await panel.page.locator(".section-pictures").count(), 0);
});

test("pictures: one that can't be read is said once, and the training is shown all the same", async () => {
  const panel = await open(runningAt(200), {
    host: {
      pictures: () => Promise.resolve([drawn(1)]),
      picture: () => Promise.reject(new Error("epoch-00001-digits.png is no PNG image.")),
    },
  });
  await panel.page.getByText("is no PNG image").waitFor();
  assert.equal(await panel.page.locator(".section-pictures .picture").count(), 0);
  await panel.page.locator(".section-pictures").getByText("digits after epoch 1").waitFor();
});
