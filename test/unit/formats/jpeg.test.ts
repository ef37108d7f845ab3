import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { PNG } from "pngjs";
import { describe, expect, test } from "vitest";
import { readImage } from "../../../extension/formats/images/image.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { checkJpeg, jpegSize } from "../../../extension/formats/images/jpegMarkers.ts";

const file = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/images/${name}`, import.meta.url));
const read = (name: string): Buffer => fs.readFileSync(file(name));
const decode = (bytes: Uint8Array, name = "a.jpg") => readImage(name, bytes);

describe("pixels are those of libjpeg-turbo", () => {
  test.each(["420", "422", "444", "progressive", "grey", "oriented"])("%s", (name) => {
    const [jpeg, png] = [decode(read(`${name}.jpg`)), decode(read(`${name}.png`))];
    expect([jpeg.width, jpeg.height, jpeg.channels]).toEqual([50, 37, name === "grey" ? 1 : 3]);
    expect(Buffer.compare(jpeg.data, png.data)).toBe(0);
  });
});

test("the file's contents say what it is, not its name", () => {
  expect(decode(read("grey.jpg"), "a.png").width).toBe(50);
  expect(jpegSize(read("progressive.jpg"))).toEqual({ width: 50, height: 37 });
  expect(jpegSize(read("progressive.jpg").subarray(0, 30))).toBeUndefined();
});

test("bytes before a marker and damaged data are passed over, as in PyTorch", () => {
  const bytes = read("420.jpg");
  const extra = Buffer.concat([bytes.subarray(0, -2), Buffer.from([1, 2, 3]), bytes.subarray(-2)]);
  expect(Buffer.compare(decode(extra).data, decode(bytes).data)).toBe(0);
  const damaged = Buffer.from(bytes);
  damaged.fill(0x55, 1000, 1200);
  expect(decode(damaged).height).toBe(37);
  expect("ImageData" in globalThis).toBe(false);
});

describe("refuses, naming the file", () => {
  const small = read("420.jpg");
  /** Where the height is, after the marker of the frame. */
  const frame = small.indexOf(Buffer.from([0xff, 0xc0])) + 5;
  const scan = small.indexOf(Buffer.from([0xff, 0xda]));

  test("what is cut off, anywhere", () => {
    for (const length of [4, 20, frame, scan, scan + 5, scan + 300, small.length - 2])
      expect(() => decode(small.subarray(0, length))).toThrow(
        /^a\.jpg: the JPEG image is damaged or cut off: (?:it is cut off|it has no header|its header is cut off)/,
      );
  });

  test("other colours", () => {
    expect(() => decode(read("cmyk.jpg"))).toThrow(
      "a.jpg: the image has the four colours of printing (CMYK), which are not read: convert it to RGB",
    );
  });

  test("a small file with a huge image", () => {
    const bomb = Buffer.from(small);
    bomb.writeUInt16BE(65_500, frame);
    bomb.writeUInt16BE(65_500, frame + 2);
    expect(() => decode(bomb)).toThrow(
      "a.jpg: the image has 65,500 × 65,500 pixels; the limit is 67,108,864 in all",
    );
  });

  test("an image of many scans, whose time grows with its pixels", () => {
    const body = small.subarray(scan, -2);
    const scans = (count: number, bytes = small): Buffer =>
      Buffer.concat([
        bytes.subarray(0, scan),
        ...Array.from({ length: count }, () => body),
        small.subarray(-2),
      ]);
    expect(checkJpeg(scans(100)).width).toBe(50);
    expect(() => checkJpeg(scans(101))).toThrow("more than 100 scans");
    const large = Buffer.from(small);
    large.writeUInt16BE(8000, frame);
    large.writeUInt16BE(8000, frame + 2);
    expect(() => checkJpeg(scans(17, large))).toThrow("more than 16 scans");
  });

  test("damaged headers, and decodes the next image", () => {
    const twice = Buffer.concat([small.subarray(0, scan), small.subarray(2)]);
    expect(() => decode(twice)).toThrow("it has two headers");
    const tables = Buffer.from(small);
    tables.fill(0xee, small.indexOf(Buffer.from([0xff, 0xc4])) + 4, scan);
    expect(() => decode(tables)).toThrow(/^a\.jpg: the JPEG image is damaged or cut off: /);
    expect(() => decode(Buffer.from("JFIF"))).toThrow("a.jpg: no PNG or JPEG image");
    expect(Buffer.compare(decode(small).data, decode(read("420.png")).data)).toBe(0);
  });

  test("changed bytes, or decodes them", () => {
    let seed = 1;
    const draw = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (const source of [small, read("progressive.jpg")])
      for (let i = 0; i < 200; i++) {
        const bytes = Buffer.from(source);
        for (let change = 0; change <= i % 4; change++) bytes[draw(bytes.length)] = draw(256);
        try {
          const { width, height, data } = decode(bytes);
          expect(data.length).toBe(4 * width * height);
        } catch (error) {
          expect(error).toBeInstanceOf(TensorError);
        }
      }
  });
});

test("says of files that can't be read what they are", () => {
  expect(() => decode(new Uint8Array())).toThrow("a.jpg: the file is empty");
  const webp = Buffer.from("RIFF\0\0\0\0WEBPVP8 ", "latin1");
  expect(() => decode(webp)).toThrow("a.jpg: a WebP image, which is not read: convert it to PNG or JPEG");
  expect(() => decode(read("grey.png").subarray(0, 300))).toThrow(
    "a.jpg: the PNG image is damaged or cut off: a chunk goes beyond the end of the file",
  );
});

test.each([
  [{ colorType: 2 }, [172, 10, 127], [0, 172, 0, 10, 0, 127]],
  [{ colorType: 0 }, [100, 100, 100], [0, 100]],
] as const)("a PNG's transparent colour keeps its colour: %o", (options, [red, green, blue], key) => {
  const png = new PNG({ width: 2, height: 1 });
  png.data = Buffer.from([red, green, blue, 255, 1, 1, 1, 255]);
  const plain = PNG.sync.write(png, { ...options, inputHasAlpha: true });
  const body = Buffer.from([...Buffer.from("tRNS"), ...key]);
  const sums = Buffer.alloc(8);
  sums.writeUInt32BE(key.length);
  sums.writeUInt32BE(crc32(body), 4);
  // After the signature and the header.
  const file = Buffer.concat([
    plain.subarray(0, 33),
    sums.subarray(0, 4),
    body,
    sums.subarray(4),
    plain.subarray(33),
  ]);
  expect([...decode(file).data]).toEqual([red, green, blue, 0, 1, 1, 1, 255]);
});
