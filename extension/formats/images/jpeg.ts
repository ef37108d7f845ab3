import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import makeDecoder from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import { distFolder } from "../../files/shipped.ts";
import type { RgbaImage } from "../../nn/data/access.ts";
import { checkJpeg } from "./jpegMarkers.ts";

/** Bytes of the decoder's memory, which never shrinks, above which the next image gets another decoder. */
const MAX_MEMORY = 2 ** 27;

interface Decoder {
  decode(bytes: Uint8Array, orient: boolean): Picture | null;
  /** Messages of the decoder. */
  readonly said: string[];
  readonly memory: { readonly buffer: { readonly byteLength: number } };
}

/** Node has WebAssembly, but its types are those of browsers. */
const wasm = Reflect.get(globalThis, "WebAssembly") as unknown as {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
  Memory: new () => Decoder["memory"];
};

let program: object | undefined;
let decoder: Decoder | undefined;

/**
 * Decodes a JPEG file, baseline or progressive, of grey or of colours, to 8 bits a channel: the pixels of
 * libjpeg-turbo, as in PyTorch and Pillow. As there, the orientation in its EXIF data has no effect.
 * @throws ImageLimit for an image that is too large; Error for a damaged one, or one of other colours
 */
export function decodeJpeg(bytes: Uint8Array): RgbaImage {
  const { width, height, components } = checkJpeg(bytes);
  return withImageData(() => {
    decoder ??= startDecoder();
    const { said, memory } = decoder;
    said.length = 0;
    try {
      const decoded = decoder.decode(bytes, false);
      if (decoded?.width !== width || decoded.height !== height) throw new Error("it can't be decoded");
      const data = new Uint8Array(decoded.data.buffer, decoded.data.byteOffset, decoded.data.length);
      if (memory.buffer.byteLength > MAX_MEMORY) decoder = undefined;
      return { width, height, data, channels: components };
    } catch (error) {
      // A decoder that has failed keeps its memory.
      decoder = undefined;
      throw new Error(said.at(-1) ?? "it can't be decoded", { cause: error });
    }
  });
}

/** Stands in for `ImageData`, a class of browsers, in which the decoder returns its results. */
class Picture {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;

  constructor(data: Uint8ClampedArray, width: number, height: number) {
    this.data = data;
    this.width = width;
    this.height = height;
  }
}

/** Runs `body` with {@link Picture} as the global `ImageData`; outside, globals are the user's. */
function withImageData<T>(body: () => T): T {
  const before = Reflect.getOwnPropertyDescriptor(globalThis, "ImageData");
  Reflect.defineProperty(globalThis, "ImageData", { value: Picture, configurable: true, writable: true });
  try {
    return body();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, "ImageData");
    else Reflect.defineProperty(globalThis, "ImageData", before);
  }
}

/** Starts the decoder synchronously, as data sets need: its own start waits for the event loop. */
function startDecoder(): Decoder {
  program ??= new wasm.Module(readFileSync(programFile()));
  const compiled = program;
  const said: string[] = [];
  let memory: Decoder["memory"] | undefined;
  const say = (text: string): void => void said.push(text);
  /** The module's functions are added to it. */
  const module: Record<string, unknown> = {
    print: say,
    printErr: say,
    instantiateWasm(imports: object, receive: (instance: unknown) => void) {
      const instance = new wasm.Instance(compiled, imports);
      memory = Object.values(instance.exports).find((one) => one instanceof wasm.Memory);
      receive(instance);
      return instance.exports;
    },
  };
  (makeDecoder as unknown as (options: object) => unknown)(module);
  const decode = module["decode"] as Decoder["decode"] | undefined;
  if (decode === undefined || memory === undefined) throw new Error("the JPEG decoder did not start");
  return { decode, said, memory };
}

/** The decoder's file: beside the bundle in a build, in the package when running from source. */
function programFile(): string {
  const name = "mozjpeg_dec.wasm";
  const dist = distFolder();
  if (dist !== undefined) return path.join(dist, "wasm", name);
  return createRequire(import.meta.url).resolve(`@jsquash/jpeg/codec/dec/${name}`);
}
