// Files of torch.save whose structure is small and whose reading would not be. Each is read in a process of its own.
import { describe, expect, it } from "vitest";
import { craft } from "../../fuzz/archive.ts";
import { useReaders, type Reader } from "./readers.ts";

const { read, accepted: readsWhole, write } = useReaders({ milliseconds: 4000, megabytes: 400 });

/** Where readers differ in what they make of a pickle, and where they don't. */
const ONE: readonly Reader[] = ["tensors"];
const READERS: readonly Reader[] = ["tensors", "load"];

/** How the readers refuse a file, each in little time and memory and with the file's name. */
async function refusals(file: Uint8Array, readers = READERS): Promise<string> {
  const path = write("model.pth", file);
  const messages: string[] = [];
  for (const one of readers) {
    const outcome = await read(one, path);
    expect(outcome).toMatchObject({ kind: "refused" });
    messages.push(outcome.message);
  }
  expect(messages[0]).toContain(path);
  return messages.join("\n");
}

/** Reads a file whole, in little time and memory. */
const accepted = (file: Uint8Array, one: Reader): Promise<void> => readsWhole(one, write("model.pth", file));

const u32 = (value: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString("latin1");
};
const text = (value: string): string => `X${u32(value.length)}${value}`;
const keep = (index: number): string => `r${u32(index)}`;
const storage = (type: string, count: number, key = "0"): string =>
  `(${text("storage")}ctorch\n${type}\n${text(key)}${text("cpu")}J${u32(count)}tQ`;
const REBUILD = "ctorch._utils\n_rebuild_tensor_v2\n";
const float4 = { 0: Buffer.alloc(16) };
const tensor = `${REBUILD}(${storage("FloatStorage", 4)}K\0K\x04\x85K\x01\x85\x89NtR`;

describe("a pickle", () => {
  it("has a key of tuples, each of which has the one before it twice", async () => {
    const key = `)${"q\0h\0\x86".repeat(60)}`;
    const file = craft(`}${key}Ns.`);
    expect(file.length).toBeLessThan(764);
    expect(await refusals(file)).toMatch(/the key of a dict is a tuple nested deeper than 16 levels/);
    const wide = `)${"q\0h\0h\0\x87".repeat(12)}`;
    expect(await refusals(craft(`}${wide}Ns.`))).toMatch(/a tuple of more than 1,024 values/);
  });

  it("has a key of tuples nested a million deep", async () => {
    expect(await refusals(craft(`})${"\x85".repeat(500_000)}Ns.`))).toMatch(/deeper than 16 levels/);
  });

  it("has a key of a thousand long texts", async () => {
    const key = `(${text("a".repeat(100_000))}q\0${"h\0".repeat(1000)}t`;
    expect(await refusals(craft(`}${key}${tensor}s.`, float4))).toMatch(/a tuple of more than 1,024 values/);
  });

  it("has values nested a million deep", async () => {
    expect(await refusals(craft(`${"]".repeat(500_000)}${"a".repeat(499_999)}.`))).toMatch(
      /nested deeper than 128 levels/,
    );
    expect(await refusals(craft(`)${"\x85".repeat(500_000)}.`))).toMatch(/deeper than 128 levels/);
  });

  it("keeps a value under millions of numbers, up to the largest", async () => {
    const many = Array.from({ length: 3_000_000 }, (_, i) => keep(2 ** 31 + i)).join("");
    expect(await refusals(craft(`N${many}.`, {}, { deflate: true }), ONE)).toMatch(/more memory than/);
    await accepted(craft(`N${keep(0xffffffff)}.`), "pth");
  });

  it("uses an operation of later protocols to flood the memo", async () => {
    expect(await refusals(craft(`N${"\x94".repeat(100_000)}.`))).toMatch(/operation 0x94/);
  });

  it.each(["N", "(", ")", "]", "}", "\x8f", "ccollections\nOrderedDict\n"])(
    "expands to fifty million times %j",
    async (operation) => {
      const many = operation.repeat(Math.ceil(50_000_000 / operation.length));
      expect(await refusals(craft(`(${many}t.`, {}, { deflate: true }), ONE)).toMatch(
        /more memory than|invalid/,
      );
    },
  );

  it("gives one list of a hundred thousand pairs to as many calls", async () => {
    const list = `](NN\x86q\x01${"h\x01".repeat(100_000)}eq\0`;
    const calls = "h\x02h\0\x85R".repeat(100_000);
    expect(await refusals(craft(`(ccollections\nOrderedDict\nq\x02${list}${calls}t.`))).toMatch(
      /more memory than/,
    );
  });

  it.each([
    ["torch.Size", "ctorch\nSize\n", "(h\0t"],
    ["set", "cbuiltins\nset\n", "(h\0t"],
    ["bytearray", "cbuiltins\nbytearray\n", `(h\x03${text("latin-1")}t`],
    ["encode", "c_codecs\nencode\n", `(h\x03${text("latin1")}t`],
  ])("has %s look at a large argument a hundred thousand times", async (_, path, args) => {
    const numbers = `(${"K\x01".repeat(100_000)}`;
    const large = path.includes("set") ? `]${numbers}eq\0` : `${numbers}tq\0`;
    const long = `${text("a".repeat(200_000))}q\x03`;
    const file = `(${path}q\x02${large}${long}${`h\x02${args}R`.repeat(100_000)}t.`;
    expect(await refusals(craft(file))).toMatch(/more memory than/);
  });

  it("calls a function with a million arguments", async () => {
    const message = await refusals(craft(`ctorch\nSize\n(${")".repeat(500_000)}tR.`));
    expect(message).toMatch(/Size is called with \(a tuple, .*, …\)|more memory/);
    expect(message.length).toBeLessThan(2000);
  });
});

describe("tensors", () => {
  /** A dict of tensors, all views of one storage. */
  const views = (type: string, size: number, view: string, count: number): string => {
    const first = `${REBUILD}q\0(${storage(type, size)}q\x01${view}\x89NtR`;
    const others = Array.from({ length: count - 1 }, (_, i) => `${text(String(i))}h\0(h\x01${view}\x89NtR`);
    return `}(${text("first")}${first}${others.join("")}u.`;
  };

  it("are twenty thousand views of one large storage", async () => {
    const size = 2_000_000;
    const view = `K\0J${u32(size)}\x85K\x01\x85`;
    const file = views("ByteStorage", size, view, 20_000);
    const message = await refusals(craft(file, { 0: Buffer.alloc(size) }));
    expect(message).toMatch(/the tensors have 40,000,000,000 bytes, many times those of their 2,000,000/);
  });

  it("are a hundred thousand pairs of elements at the two ends of a storage", async () => {
    const size = 4_000_000;
    const view = `K\0K\x02\x85J${u32(size - 1)}\x85`;
    const file = views("ByteStorage", size, view, 100_000);
    expect(await refusals(craft(file, { 0: Buffer.alloc(size) }))).toMatch(
      /the tensors are spread over 400,000,000,000 bytes of their 4,000,000/,
    );
  });

  it("share one shape of a million dimensions", async () => {
    const shape = `(${"K\x01".repeat(1_000_000)}tq\x02`;
    const file = `(${shape}${REBUILD}q\0(${storage("FloatStorage", 4)}K\0h\x02h\x02\x89NtRt.`;
    expect(await refusals(craft(file, float4))).toMatch(/1,000,000 dimensions; the limit is 64/);
  });

  it("are one, at a million places", async () => {
    const list = (item: string, count: number): string => `](${item.repeat(count)}e`;
    const inside = `(${tensor}q\0${list("h\0", 1000)}q\x01${list("h\x01", 1000)}t.`;
    expect(await refusals(craft(inside, float4))).toMatch(/more than [\d,]+ values, the limit/);
  });

  it("are one large tensor, under a hundred thousand names", async () => {
    const size = 1_000_000;
    const file = `](${REBUILD}(${storage("ByteStorage", size)}K\0J${u32(size)}\x85K\x01\x85\x89NtRq\0${"h\0".repeat(100_000)}e.`;
    const message = await refusals(craft(file, { 0: Buffer.alloc(size) }), ["tensors"]);
    expect(message).toMatch(/100,001 names stand for 1 tensors/);
  });

  it("have names of a megabyte each", async () => {
    const file = `}${text("n".repeat(1_000_000))}](${tensor}q\0${"h\0".repeat(10_000)}es.`;
    const message = await refusals(craft(file, float4), ["tensors"]);
    expect(message).toMatch(/names of the tensors have more than 100,000,000 characters/);
  });

  it("are in a storage with a key of sixty thousand characters", async () => {
    const key = "k".repeat(60_000);
    const id = `(${text("storage")}ctorch\nFloatStorage\n${text(key)}${text("cpu")}K\x04tq\0`;
    const file = `(${id}Q${"h\0Q".repeat(300_000)}t.`;
    expect(await refusals(craft(file, { [key]: Buffer.alloc(16) }))).toMatch(/a storage has the key/);
  });

  it("read one large storage as thirteen types", async () => {
    const size = 20_000_000;
    const types = ["FloatStorage", "IntStorage", "HalfStorage", "ShortStorage", "ByteStorage", "CharStorage"];
    const bytes: Record<string, number> = { Float: 4, Int: 4, Half: 2, Short: 2, Byte: 1, Char: 1 };
    const one = (type: string): string => {
      const count = size / bytes[type.replace("Storage", "")]!;
      return `${REBUILD}(${storage(type, count)}K\0K\x01\x85K\x01\x85\x89NtR`;
    };
    await accepted(craft(`(${types.map(one).join("")}t.`, { 0: Buffer.alloc(size) }), "pth");
  });
});

describe("an archive", () => {
  it("has a record that expands to a gigabyte", async () => {
    const zeros = Buffer.alloc(2 ** 30 / 4);
    const count = zeros.length / 4;
    const file = craft(
      `${REBUILD}(${storage("FloatStorage", count)}K\0J${u32(count)}\x85K\x01\x85\x89NtR.`,
      { 0: zeros },
      { deflate: true },
    );
    expect(await refusals(file)).toMatch(/record "a\/data\/0" would take more memory/);
  });

  it("has two records that share their bytes", async () => {
    const file = craft(`(${tensor}${tensor.replace(text("0"), text("1"))}t.`, {
      0: Buffer.alloc(16),
      1: Buffer.alloc(16),
    });
    // Of the last entry of the directory, where its record begins.
    const last = file.lastIndexOf("PK\x01\x02");
    const other = file.lastIndexOf("PK\x01\x02", last - 1);
    file.writeUInt32LE(file.readUInt32LE(other + 42), last + 42);
    expect(await refusals(file)).toMatch(/the two headers of record .* differ|overlaps/);
  });
});
