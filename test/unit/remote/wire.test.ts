import { createInflateRaw } from "node:zlib";
import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import * as fc from "fast-check";
import { expect, test, vi } from "vitest";
import { EngineError } from "../../../extension/protocol/errors.ts";
import { canonical, Counted, Lines } from "../../../extension/remote/rows.ts";
import { Peer, type PeerOptions } from "../../../extension/remote/wire.ts";

/** Two sides of a connection that splits messages into pieces. */
function line(here: PeerOptions, there: PeerOptions, piece = 7): [Peer, Peer] {
  const cut = (): PassThrough => {
    const stream = new PassThrough();
    const write = stream.push.bind(stream);
    stream.push = (bytes: Buffer | null) => {
      if (bytes === null) return write(bytes);
      for (let at = 0; at < bytes.length; at += piece) write(bytes.subarray(at, at + piece));
      return true;
    };
    return stream;
  };
  const [to, from] = [cut(), cut()];
  return [new Peer(from, to, here), new Peer(to, from, there)];
}

test("carries calls with bytes both ways, in whatever pieces they arrive", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.jsonValue(),
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 1, max: 50 }),
      async (value, bytes, piece) => {
        const [here] = line(
          {},
          { answer: (_, params, body) => Promise.resolve({ value: params, body }) },
          piece,
        );
        const answer = await here.call("echo", value, Buffer.from(bytes));
        expect(answer.value).toEqual(JSON.parse(JSON.stringify(value)));
        expect([...answer.body!]).toEqual([...bytes]);
      },
    ),
    { numRuns: 50 },
  );
});

test("gives the other side's error with its hint", async () => {
  const error = { code: "disk", message: "full", hint: "free some" };
  const [here] = line({}, { answer: () => Promise.reject(new EngineError(error)) });
  await expect(here.call("put", {})).rejects.toMatchObject({ cause: error });
});

test("fails the calls under way, and later ones, when the connection is closed", async () => {
  const [here, there] = line({}, { answer: () => new Promise(() => undefined) });
  const call = here.call("wait", {});
  here.close();
  await expect(call).rejects.toMatchObject({ cause: { code: "line" } });
  await expect(here.call("more", {})).rejects.toMatchObject({ cause: { code: "line" } });
  expect(there.closed).toBe(false);
});

test.each([
  ["a length beyond any", Buffer.alloc(8, 0xff)],
  ["no JSON", Buffer.concat([Buffer.from([0, 0, 0, 3, 0, 0, 0, 0]), Buffer.from("abc")])],
  [
    "a call, where none is answered",
    Buffer.concat([
      Buffer.from([0, 0, 0, 38, 0, 0, 0, 0]),
      Buffer.from('{"call":1,"method":"go","params":null}'),
    ]),
  ],
  ["another form", Buffer.concat([Buffer.from([0, 0, 0, 2, 0, 0, 0, 0]), Buffer.from("{}")])],
])("is closed by a message of %s", async (_, bytes) => {
  const input = new PassThrough();
  let problem: Error | undefined;
  const peer = new Peer(input, new PassThrough(), { closed: (why) => (problem = why) });
  input.write(bytes);
  await delay(10);
  expect(peer.closed).toBe(true);
  expect(problem).toBeDefined();
});

test.each(["input", "output"] as const)(
  "is closed by a lost connection, of which %s hears: not a fault of the other side",
  async (side) => {
    const streams = { input: new PassThrough(), output: new PassThrough() };
    const closed = vi.fn();
    const peer = new Peer(streams.input, streams.output, { closed });
    const call = peer.call("go", {});
    const error = Object.assign(new Error("write EPIPE"), { code: "EPIPE", syscall: "write" });
    streams[side].emit("error", error);
    // A stream may say it for each message that it can't send.
    streams[side].emit("error", error);
    await expect(call).rejects.toMatchObject({ cause: { code: "line" } });
    expect(closed.mock.calls).toEqual([[undefined]]);
  },
);

test("is closed by what can't be unpacked, with the reason: a fault of the other side", async () => {
  const input = createInflateRaw();
  const closed = vi.fn();
  const peer = new Peer(input, new PassThrough(), { closed });
  input.write(Buffer.alloc(100, 0xff));
  await expect.poll(() => closed.mock.calls).toMatchObject([[{ code: "Z_DATA_ERROR" }]]);
  expect(peer.closed).toBe(true);
});

test("counts the same rows on both sides, with invalid lines between them and in pieces of any size", () => {
  const row = { kind: "step", step: 1, epoch: 1, time: 0.5, values: { loss: null, a: 1 }, more: "left out" };
  const text = `${JSON.stringify(row)}\nno json\n{"kind":"step"}\n${"x".repeat(4_000_000)}\n${JSON.stringify({ ...row, step: 2 })}\n{"torn`;
  const count = (piece: number): unknown => {
    const lines = new Lines();
    const counted = new Counted();
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += piece)
      for (const value of lines.push(bytes.subarray(at, at + piece))) {
        const found = canonical("metrics", value);
        if (found !== undefined) counted.line(found.line);
      }
    expect(lines.torn).toBe(true);
    return counted.have;
  };
  expect(count(50_000)).toEqual(count(1e7));
  expect(count(50_000)).toMatchObject({ count: 2 });
});
