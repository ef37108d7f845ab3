// Pictures of layers' outputs, read from a file that may be long, growing, broken or a stranger's.
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import {
  LAST,
  NO_PICTURES,
  PICTURES_FILE,
  pictureValues,
  type LayerPicture,
  type PictureRow,
} from "../../../extension/protocol/layers/pictures.ts";
import { LayerPictures } from "../../../extension/supervisor/runs/layerPictures.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

const picture = (level: number, change: object = {}): LayerPicture => ({
  kind: "map",
  units: 3,
  drawn: 1,
  height: 1,
  width: 2,
  size: [1, 2],
  low: -1,
  high: 1,
  values: Buffer.from(Uint16Array.of(0, level).buffer).toString("base64"),
  ...change,
});

const row = (step: number, layers: Record<string, unknown> = { conv: picture(step) }): object => ({
  step,
  epoch: 1,
  input: { kind: "sample", split: "validation", index: 0 },
  layers,
});

const write = (...rows: (object | string)[]): void =>
  fs.appendFileSync(
    path.join(folder, PICTURES_FILE),
    rows.map((one) => `${typeof one === "string" ? one : JSON.stringify(one)}\n`).join(""),
  );

const stepAt = async (pictures: LayerPictures, step: number): Promise<number | undefined> =>
  (await pictures.at(step))?.row?.step;

test("gives the last pictures up to a step, those of the end, and nothing twice", async () => {
  const pictures = new LayerPictures(folder);
  expect(await pictures.at(LAST)).toEqual({ version: 0 });
  expect(await pictures.at(LAST, { version: 0, step: LAST })).toBeNull();
  write(row(10), row(20), row(30));
  expect(await stepAt(pictures, 29)).toBe(20);
  expect(await stepAt(pictures, 3)).toBe(10);
  const last = await pictures.at(LAST, NO_PICTURES);
  expect(last).toEqual({ version: 0, row: row(30) });
  expect(await pictures.at(LAST, { version: 0, step: 30 })).toBeNull();
  write(row(40));
  expect(await stepAt(pictures, LAST)).toBe(40);
  // Resumed from step 25: later rows don't count.
  write(row(26));
  const resumed = await pictures.at(LAST, { version: 0, step: 40 });
  expect(resumed?.row?.step).toBe(26);
  expect(resumed?.version).not.toBe(0);
  expect(await stepAt(pictures, 25)).toBe(20);
});

test("a long file is read in part, to its end", async () => {
  for (let step = 1; step <= 3000; step++) write(row(step));
  const pictures = new LayerPictures(folder);
  expect(await stepAt(pictures, LAST)).toBe(3000);
  const middle = (await stepAt(pictures, 1500))!;
  expect(middle).toBeGreaterThan(1400);
  expect(middle).toBeLessThanOrEqual(1500);
});

test("rows that are none, too large or not whole are left out", async () => {
  write(
    row(1),
    "no JSON",
    row(2, { conv: picture(0, { drawn: 9 }) }),
    row(3, { conv: picture(0, { width: 4000 }) }),
    row(4, { conv: picture(0, { low: null }) }),
    row(5, { conv: picture(0, { kind: "html" }) }),
    row(6, { ["x".repeat(1 << 18)]: picture(0) }),
  );
  fs.appendFileSync(path.join(folder, PICTURES_FILE), '{"step":9');
  const pictures = new LayerPictures(folder);
  expect(await stepAt(pictures, LAST)).toBe(1);
});

test("numbers that are not as many as they should be are no pictures", () => {
  expect([...pictureValues(picture(0xff_fe))!]).toEqual([-1, 1]);
  expect([...pictureValues(picture(0xff_ff))!]).toEqual([-1, NaN]);
  expect(pictureValues(picture(0, { width: 3 }))).toBeUndefined();
  expect(pictureValues(picture(0, { values: "%%%" }))).toBeUndefined();
});

test("names of layers are names", async () => {
  write(
    `{"step":1,"epoch":1,"input":{"kind":"sample","split":"train","index":0},"layers":{"__proto__":${JSON.stringify(picture(1))}}}`,
  );
  const shown = await new LayerPictures(folder).at(LAST);
  const { layers } = shown!.row as PictureRow;
  expect(Object.getPrototypeOf(layers)).toBe(Object.prototype);
  expect(Object.hasOwn(layers, "constructor")).toBe(false);
});
