import fs from "node:fs";
import path from "node:path";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { EventFile, hasEventFiles } from "../../../extension/engine/reporting/eventFile.ts";
import { eventRecord, fileVersion, maskedCrc32c, record } from "../../../extension/formats/tensorboard.ts";
import { startingRecord } from "../../../extension/protocol/engine.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

/** Fields of a message by number; nested ones as bytes. */
function fields(bytes: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const reader = new BinaryReader(bytes);
  const found = new Map<number, (number | Uint8Array)[]>();
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const value =
      type === WireType.Varint
        ? Number(reader.int64())
        : type === WireType.Bit64
          ? reader.double()
          : type === WireType.Bit32
            ? reader.float()
            : reader.bytes();
    found.set(field, [...(found.get(field) ?? []), value]);
  }
  return found;
}

const text = (bytes: number | Uint8Array | undefined): string => Buffer.from(bytes as Uint8Array).toString();
const inside = (bytes: number | Uint8Array | undefined) => fields(bytes as Uint8Array);

/** The messages of a file, each with checksums that are right. */
function messages(file: Uint8Array): Map<number, (number | Uint8Array)[]>[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const found = [];
  for (let at = 0; at < file.length;) {
    const length = Number(view.getBigUint64(at, true));
    expect(view.getUint32(at + 8, true)).toBe(maskedCrc32c(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(view.getUint32(at + 12 + length, true)).toBe(maskedCrc32c(data));
    found.push(fields(data));
    at += 16 + length;
  }
  return found;
}

test("records are framed as TensorFlow frames them", () => {
  // The check value of CRC-32C, https://reveng.sourceforge.io/crc-catalogue/all.htm#crc.cat.crc-32-iscsi, masked.
  const crc = 0xe3069283;
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  expect(maskedCrc32c(Buffer.from("123456789"))).toBe(masked);
  // How every file of TensorFlow's begins: 24 bytes follow.
  expect(Buffer.from(record(new Uint8Array(24))).toString("hex", 0, 12)).toBe("1800000000000000a37f4b22");
  expect(fileVersion(1.5).length).toBe(24 + 16);
});

test("an event has a step, a time, scalars and texts", () => {
  const bytes = eventRecord({
    wallTime: 1.5,
    step: 7,
    values: [
      { tag: "loss", scalar: 0.25 },
      { tag: "note", text: "**hi**" },
    ],
  });
  const [event] = messages(bytes);
  expect(event!.get(1)).toEqual([1.5]);
  expect(event!.get(2)).toEqual([7]);
  const values = inside(event!.get(5)![0]).get(1)!.map(inside);
  expect(text(values[0]!.get(1)![0])).toBe("loss");
  expect(values[0]!.get(2)).toEqual([0.25]);
  expect(text(values[1]!.get(1)![0])).toBe("note/text_summary");
  expect(text(inside(values[1]!.get(8)![0]).get(8)![0])).toBe("**hi**");
});

test("a run's rows become scalars by kind; a resumed run says from where", () => {
  expect(hasEventFiles(folder)).toBe(false);
  const file = new EventFile(folder, { began: 1000, resumedAt: 3 });
  const request = { kind: "train", file: "/net.nn.ts", exportName: "default", directory: "/run" } as const;
  file.describe({
    ...startingRecord({ ...request, device: "cpu", outlive: false }),
    settings: { lr: "a|b" },
  });
  file.append([
    { kind: "step", step: 4, epoch: 1, time: 0.5, values: { loss: Number.NaN } },
    { kind: "epoch", step: 4, epoch: 1, time: 1, values: { loss: 1, val_loss: 2 } },
    { kind: "event", step: 4, epoch: 1, time: 1, values: {}, text: "Paused." },
  ]);
  file.flush();
  file.close();
  expect(hasEventFiles(folder)).toBe(true);
  const [name] = fs.readdirSync(folder);
  const [version, restart, settings, step, epoch, event] = messages(
    fs.readFileSync(path.join(folder, name!)),
  );
  expect(text(version!.get(3)![0])).toBe("brain.Event:2");
  expect([restart!.get(2), inside(restart!.get(7)![0]).get(1)]).toEqual([[4], [1]]);
  const one = (e: typeof step) => inside(e!.get(5)![0]).get(1)!.map(inside);
  expect(text(inside(one(settings)[0]!.get(8)![0]).get(8)![0])).toContain(String.raw`| lr | a\|b |`);
  expect(step!.get(1)).toEqual([1000.5]);
  expect(one(step).map((v) => [text(v.get(1)![0]), v.get(2)![0]])).toEqual([["step/loss", Number.NaN]]);
  expect(one(epoch).map((v) => [text(v.get(1)![0]), v.get(2)![0]])).toEqual([
    ["epoch/loss", 1],
    ["epoch/val_loss", 2],
  ]);
  expect(text(inside(one(event)[0]!.get(8)![0]).get(8)![0])).toBe("Paused.");
});
