import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { diskFiles, userFolder } from "../../../../extension/engine/files/dataFiles.ts";
import { prepare } from "../../../../extension/engine/training/prepare.ts";
import { setDataFiles } from "../../../../extension/nn/data/access.ts";
import { data, experiment, nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { TensorError } from "../../../../extension/tensor/core/errors.ts";
import { useEngine } from "../../../engines.ts";
import { useFolder } from "../../../folders.ts";
import { tarOf, writeTar } from "../../../tarFiles.ts";

const folder = useFolder("all");
const image = (name: string): Buffer =>
  fs.readFileSync(fileURLToPath(new URL(`../../../fixtures/images/${name}`, import.meta.url)));
const npy = (descr: string, shape: string, bytes: Uint8Array, order = "False"): Buffer => {
  const header = Buffer.from(`{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`);
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]);
  return Buffer.concat([start, header, bytes]);
};

useEngine("cpu");
beforeAll(async () => {
  setDataFiles(diskFiles);
  userFolder.path = folder;
  for (let shard = 0; shard < 6; shard++) {
    const files = Array.from({ length: 20 }, (_, i) => {
      const key = `a/${String(shard * 20 + i).padStart(4, "0")}`;
      return [
        [`${key}.cls`, String(shard * 20 + i)],
        [`${key}.txt`, `sample ${i}`],
      ];
    }).flat();
    await writeTar(path.join(folder, `s-0${shard}.tar`), Object.fromEntries(files));
  }
});
afterAll(() => {
  setDataFiles(undefined);
  userFolder.path = undefined;
});

const URLS = "s-{00..05}.tar";
const ALL = Array.from({ length: 120 }, (_, i) => i);
const classes = (set: Iterable<unknown>): number[] => [...(set as Iterable<[number]>)].map(([one]) => one);
const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

describe("samples", () => {
  test("have the decoded files that share a name up to its first dot", async () => {
    const floats = new Uint8Array(Float32Array.from([1, 2, 3, 4, 5, 6]).buffer);
    await writeTar(path.join(folder, "one.tar"), {
      "__info__.json": "{}",
      README: "no ending",
      "x/01.jpg": image("420.jpg"),
      "x/01.seg.png": image("grey.png"),
      "x/01.cls": "7\n",
      "x/01.json": '{"a": [1, {"__proto__": 2}]}',
      "x/01.TXT": "ä",
      "x/01.npy": npy("<f4", "(2, 3)", floats),
      "x/01.bin": Buffer.from([1, 2]),
      "y/01.npy": npy("<i8", "(1,)", new Uint8Array(BigInt64Array.from([-5n]).buffer)),
      "y/02.npy": npy("|b1", "()", Uint8Array.of(1)),
    });
    const [first, second, third] = [...data.tarShards("one.tar", { mode: "L" })] as Record<string, Tensor>[];
    expect(Object.keys(first!)).toEqual(["__key__", "jpg", "seg.png", "cls", "json", "txt", "npy", "bin"]);
    expect([first!["__key__"], first!["cls"], first!["txt"], first!["bin"]]).toEqual([
      "x/01",
      7,
      "ä",
      Uint8Array.of(1, 2),
    ]);
    expect(JSON.stringify(first!["json"])).toBe('{"a":[1,{"__proto__":2}]}');
    expect([first!["jpg"]!.shape, first!["seg.png"]!.shape]).toEqual([
      [1, 37, 50],
      [1, 37, 50],
    ]);
    expect(first!["npy"]!.tolist()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect([second!["__key__"], second!["npy"]!.dtype, second!["npy"]!.tolist()]).toEqual([
      "y/01",
      "int64",
      [-5],
    ]);
    expect([third!["npy"]!.dtype, third!["npy"]!.shape, third!["npy"]!.item()]).toEqual(["bool", [], true]);
    const lists = data.tarShards("one.tar", {
      keys: ["png;jpg", "cls"],
      transform: ([x, y]: [Tensor, number]) => [x.mul(2), y] as const,
    });
    const { value: list } = lists[Symbol.iterator]().next();
    expect([list[0].shape, list[1]]).toEqual([[3, 37, 50], 7]);
  });

  test("come from tar files that Python and GNU tar write", () => {
    const long = `${"d".repeat(80)}/${"e".repeat(60)}`;
    fs.mkdirSync(path.join(folder, "gnu", long), { recursive: true });
    for (const name of ["1.cls", "1.txt", "2.cls"])
      fs.writeFileSync(path.join(folder, "gnu", long, name), name[0]!);
    for (const format of ["gnu", "pax", "ustar"]) {
      execFileSync("tar", [`--format=${format}`, "-cf", `../${format}.tar`, "--sort=name", long], {
        cwd: path.join(folder, "gnu"),
      });
      expect([...data.tarShards(`${format}.tar`)]).toEqual([
        { __key__: `${long}/1`, cls: 1, txt: "1" },
        { __key__: `${long}/2`, cls: 2 },
      ]);
    }
  });

  test("are batches of a loader, and train in an experiment", async () => {
    const set = data.tarShards(URLS, { keys: ["cls", "txt"] });
    const [[numbers, texts]] = [...new data.DataLoader(set, { batchSize: 3 })] as unknown as [
      [Tensor, string[]],
    ];
    expect([numbers.tolist(), texts]).toEqual([
      [0, 1, 2],
      ["sample 0", "sample 1", "sample 2"],
    ]);
    const prepared = await prepare(
      experiment({
        model: () => new nn.Linear(1, 1),
        data: data.tarShards(URLS, {
          keys: ["cls"],
          transform: ([one]: [number]) => [torch.tensor([one / 120]), torch.tensor([one])],
          length: 120,
        }),
        optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
        loss: new nn.MSELoss(),
        batchSize: 50,
        epochs: 1,
      }),
      0,
    );
    expect([prepared.train.length, [...prepared.train.epoch()].map(([x]) => x!.shape)]).toEqual([
      3,
      [
        [50, 1],
        [50, 1],
        [20, 1],
      ],
    ]);
  });
});

describe("the order", () => {
  const keys = ["cls"];

  test("is that of the files, or of the seed", () => {
    expect(classes(data.tarShards(URLS, { keys }))).toEqual(ALL);
    expect(classes(data.tarShards(["s-01.tar", "s-{00,02}.tar"], { keys }))).toEqual([
      ...ALL.slice(20, 40),
      ...ALL.slice(0, 20),
      ...ALL.slice(40, 60),
    ]);
    const drawn = (seed: number): number[] => {
      torch.manualSeed(seed);
      return classes(data.tarShards(URLS, { keys, shuffle: 30 }));
    };
    const [first, again, other] = [drawn(1), drawn(1), drawn(2)];
    expect(sorted(first)).toEqual(ALL);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    // A sample can't come before its shard: with 30 kept, the first comes from the first two shards.
    expect(new Set(first.slice(0, 10).map((one) => Math.floor(one / 20))).size).toBeLessThanOrEqual(3);
    torch.manualSeed(4);
    const shards = classes(data.tarShards(URLS, { keys, shardShuffle: true }));
    expect(shards.slice(0, 20)).toEqual(ALL.slice(shards[0], shards[0]! + 20));
    expect(shards).not.toEqual(ALL);
    const set = data.tarShards(URLS, { keys, shuffle: 30 });
    expect(classes(set)).not.toEqual(classes(set));
  });

  test("does not depend on the number of threads", () => {
    const run = (numWorkers: number): unknown => {
      torch.manualSeed(7);
      const loader = new data.DataLoader(data.tarShards(URLS, { keys, shuffle: 50 }), {
        batchSize: 16,
        numWorkers,
      });
      return [...loader].map((batch) => (batch as unknown as [Tensor])[0].tolist());
    };
    expect(run(3)).toEqual(run(0));
  });

  test("each process takes its own shards", () => {
    const parts = [0, 1, 2, 3].map((rank) =>
      classes(data.tarShards(URLS, { keys, rank, numReplicas: 4, shuffle: 10 })),
    );
    expect(parts.map((part) => part.length)).toEqual([40, 40, 20, 20]);
    expect(sorted(parts.flat())).toEqual(ALL);
    expect(() => data.tarShards(URLS, { rank: 7, numReplicas: 8 })).toThrow(
      "data.tarShards(): 6 shards are too few for 8 processes",
    );
    expect(() => data.tarShards(URLS, { rank: 2, numReplicas: 2 })).toThrow("Invalid rank 2");
  });

  test("begins in the middle as if it had begun before", () => {
    for (const options of [{ keys }, { keys, shuffle: 25 }]) {
      const set = data.tarShards(URLS, options);
      torch.manualSeed(11);
      const whole = classes(set);
      torch.manualSeed(11);
      const rest = set.after(77)!;
      expect(classes({ [Symbol.iterator]: () => rest } as Iterable<unknown>)).toEqual(whole.slice(77));
    }
  });

  test.skipIf(!fs.existsSync("/proc/self/fd"))("ends early without leaving files open", () => {
    const open = (): number => fs.readdirSync("/proc/self/fd").length;
    const once = (): void => {
      for (const _ of data.tarShards(URLS, { keys })) break;
    };
    once();
    // Wait for the thread: it closes files after its answers.
    const before = (classes(data.tarShards("s-00.tar", { keys })), open());
    for (let i = 0; i < 10; i++) once();
    classes(data.tarShards("s-00.tar", { keys }));
    expect(open()).toBeLessThanOrEqual(before + 2);
  });
});

describe("hostile files", () => {
  const file = (): string => path.join(folder, "bad.tar");
  const refuses = async (
    bytes: Uint8Array | Promise<Uint8Array>,
    message: string | RegExp,
  ): Promise<void> => {
    fs.writeFileSync(file(), await bytes);
    const read = (): unknown => [...data.tarShards("bad.tar")];
    expect(read).toThrow(TensorError);
    expect(read).toThrow(message);
    expect(read).toThrow(file());
  };
  /** Writes a number into the header of the first file, and repairs its checksum. */
  const changed = async (
    files: Record<string, string>,
    change: (header: Buffer) => void,
  ): Promise<Buffer> => {
    const bytes = Buffer.from(await tarOf(files));
    const header = bytes.subarray(0, 512);
    change(header);
    header.fill(" ", 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    return bytes;
  };

  test("of huge sizes", async () => {
    await refuses(
      changed({ "1.txt": "a" }, (header) => header.write("77777777777", 124)),
      '"1.txt" has 8,589,934,591 bytes, more than the whole file',
    );
    await refuses(
      changed({ "1.txt": "a" }, (header) => header.fill(0xff, 124, 136)),
      "number",
    );
  });

  test("that are cut off, or none", async () => {
    const whole = await tarOf({ "1.txt": "a".repeat(2000), "2.txt": "b" });
    for (const length of [100, 1000, 3000, 3600, whole.length - 1024])
      await refuses(whole.subarray(0, length), /truncated|no tar file|more than the whole file/);
    await refuses(Buffer.from("hello".repeat(500)), "no tar file");
    await refuses(Buffer.from([0x1f, 0x8b, 8, 0]), "it is compressed by gzip");
  });

  test("with links, devices and strange names", async () => {
    await refuses(
      tarOf({ "1.txt": "" }, { type: "symlink", linkname: "/etc/passwd" }),
      '"1.txt" is a link to "/etc/passwd", and links are not followed',
    );
    await refuses(tarOf({ "1.txt": "" }, { type: "link", linkname: "0.txt" }), "is a link");
    await refuses(
      tarOf({ "1.txt": "" }, { type: "character-device" }),
      '"1.txt" is a character-device, and no file',
    );
    for (const name of ["/etc/1.txt", "../1.txt", "a/../1.txt", "a\\1.txt", "a\n1.txt"])
      await refuses(tarOf({ [name]: "" }), "is no name of a sample's file");
    await refuses(tarOf({ "1.txt": "", "1.TXT": "" }), 'the sample "1" has two files "txt"');
  });

  test("of damaged contents, which say shard, sample and file", async () => {
    for (const [name, content, message] of [
      ["1.json", "{", "1.json: "],
      ["1.cls", "seven", '1.cls: expected a whole number, got "seven"'],
      ["1.jpg", "x", "1.jpg: no PNG or JPEG image"],
      ["1.jpg", image("420.jpg").subarray(0, 500), "1.jpg: the JPEG image is damaged or cut off: it"],
      ["1.txt", Uint8Array.of(0xff), "1.txt: expected a text in UTF-8"],
      ["1.pth", "x", "1.pth: Python's pickles are not read"],
      ["1.npy", "x", "1.npy: no .npy file"],
      [
        "1.npy",
        npy("<f4", "(3,)", new Uint8Array(8)),
        "1.npy: a .npy file of 3 numbers, whose bytes are not as many",
      ],
      ["1.npy", npy("<f4", "(99999999, 99999999)", new Uint8Array(8)), "whose bytes are not as many"],
      ["1.npy", npy(">f4", "(2,)", new Uint8Array(8)), "1.npy: a .npy file of >f4, which is not supported"],
      ["1.npy", npy("<f4", "(2,)", new Uint8Array(8), "True"), "in Fortran's order"],
      ["1.npy", npy("<u4", "(1,)", Uint8Array.of(255, 255, 255, 255)), "which doesn't fit into 32 bits"],
    ] as const)
      await refuses(tarOf({ [name]: content }), message);
  });

  test.skipIf(process.platform === "win32")("that are pipes, which would block", () => {
    const pipe = path.join(folder, "pipe.tar");
    execFileSync("mkfifo", [pipe]);
    const refusal = `${pipe}: expected a regular file, found a named pipe`;
    const messageOf = (read: () => unknown): string => {
      try {
        read();
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(messageOf(() => [...data.tarShards("pipe.tar")])).toBe(refusal);
    expect(messageOf(() => data.parquet("pipe.tar"))).toBe(refusal);
  });

  test("after the shards before them", async () => {
    const good = await tarOf({ "1.cls": "1", "2.cls": "2", "3.txt": "c".repeat(3000) });
    fs.writeFileSync(file(), good.subarray(0, 4000));
    const seen: unknown[] = [];
    expect(() => {
      for (const { cls } of data.tarShards(["s-00.tar", "bad.tar"])) seen.push(cls);
    }).toThrow(`${file()}: `);
    expect(seen.slice(0, 20)).toEqual(ALL.slice(0, 20));
  });

  test("missing files, keys and names of braces", () => {
    expect(() => [...data.tarShards("s-{04..06}.tar", { keys: ["cls"] })]).toThrow(
      "There is no file s-06.tar.",
    );
    expect(() => [...data.tarShards(URLS, { keys: ["cls", "jpg;png"] })]).toThrow(
      `${path.join(folder, "s-00.tar")}: the sample "a/0000" has no file "jpg;png"`,
    );
    expect(() => data.tarShards("s-{0..99999999}.tar")).toThrow("more than 100,000 files");
    expect(() => data.tarShards([])).toThrow("expected at least one tar file");
    expect(() => data.tarShards(URLS, { mode: "CMYK" as "RGB" })).toThrow('expected mode "RGB"');
    expect(() => data.tarShards(URLS, { shuffle: 1.5 })).toThrow(
      "expected shuffle to be a number of samples, got 1.5",
    );
  });
});
