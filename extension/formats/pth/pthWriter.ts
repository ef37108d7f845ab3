import { Pickler } from "./pickler.ts";
import { STORAGE_TYPES, TORCH_DTYPES } from "./pthObjects.ts";
import { PthStorage, PthTensor } from "./pthTensor.ts";
import type { PthValue } from "./pthValue.ts";
import { DTYPE_BYTES, type StoredDtype } from "../tensorData.ts";
import { writeAtomic } from "../../files/writeAtomic.ts";
import { zipArchive, type ZipContent } from "../zip/zipWriter.ts";

/** PyTorch's default: contents begin at multiples of it. */
const ALIGNMENT = 64;

/** A storage in memory, to be written: row-major little-endian elements. The bytes are not copied. */
export function memoryStorage(dtype: StoredDtype, bytes: Uint8Array): PthStorage {
  return new PthStorage("", dtype, bytes.length, { read: (from, to) => bytes.subarray(from, to) });
}

/** A tensor that is all of a storage, row-major. */
export function wholeTensor(
  storage: PthStorage,
  dtype: StoredDtype,
  shape: readonly number[],
  { requiresGrad = false, parameter = false }: { requiresGrad?: boolean; parameter?: boolean } = {},
): PthTensor {
  const strides: number[] = [];
  let step = 1;
  for (const extent of shape.toReversed()) {
    strides.unshift(step);
    step *= Math.max(1, extent);
  }
  return new PthTensor({ dtype, shape, strides, offset: 0, storage, requiresGrad, parameter });
}

/**
 * Writes a value as `torch.save` does: what `torch.load` reads with its default `weights_only`, and with `mmap=True`.
 * Tensors of one storage share it again when they are loaded. The file is replaced as a whole.
 * @throws UnwritableError for what is neither tensor nor plain data; the file system's error
 */
export function writePth(path: string, value: PthValue): void {
  writeAtomic(path, zipArchive(records(value), ALIGNMENT));
}

/** The bytes that {@link writePth} writes. */
export function encodePth(value: PthValue): Uint8Array {
  return Buffer.concat([...zipArchive(records(value), ALIGNMENT)]);
}

/** The records in PyTorch's order. */
function records(value: PthValue): ZipContent[] {
  const storages = new Map<PthStorage, string>();
  const pickler = new Pickler({
    write(object, to) {
      if (!(object instanceof PthTensor)) return false;
      to.shared(object, () => writeTensor(object, to, storages));
      return true;
    },
  });
  const pickle = pickler.dump(value);
  const text = (name: string, content: string): ZipContent => ({ name, content: Buffer.from(content) });
  const list: ZipContent[] = [
    { name: "data.pkl", content: pickle },
    text(".format_version", "1"),
    text(".storage_alignment", String(ALIGNMENT)),
    text("byteorder", "little"),
    ...[...storages].map(([storage, key]) => ({ name: `data/${key}`, content: storage.read() })),
    text("version", "3\n"),
  ];
  return list.map(({ name, content }) => ({ name: `archive/${name}`, content }));
}

function writeTensor(tensor: PthTensor, to: Pickler, storages: Map<PthStorage, string>): void {
  const { dtype, shape, strides, offset, storage, requiresGrad, parameter } = tensor;
  const hooks = (): void => to.reduce(() => to.global("collections", "OrderedDict"), []);
  const flag = (on: boolean) => (): void => to.value(on);
  const storageName = storage.dtype === dtype ? nameIn(STORAGE_TYPES, dtype) : undefined;
  const parts = [
    () => writeStorage(storage, storageName, to, storages),
    () => to.value(offset),
    () => to.tuple(shape.map((extent) => () => to.value(extent))),
    () => to.tuple(strides.map((stride) => () => to.value(stride))),
    flag(requiresGrad && !parameter),
    hooks,
  ];
  const data = (): void => {
    if (storageName !== undefined)
      return to.reduce(() => to.global("torch._utils", "_rebuild_tensor_v2"), parts);
    // Types without a class of storage name themselves, over a storage of plain bytes.
    const name = nameIn(TORCH_DTYPES, dtype);
    if (name === undefined) throw new RangeError(`PyTorch has no tensors of ${dtype}`);
    return to.reduce(
      () => to.global("torch._utils", "_rebuild_tensor_v3"),
      [...parts, () => to.global("torch", name)],
    );
  };
  if (!parameter) return data();
  to.reduce(() => to.global("torch._utils", "_rebuild_parameter"), [data, flag(requiresGrad), hooks]);
}

function writeStorage(
  storage: PthStorage,
  name: string | undefined,
  to: Pickler,
  storages: Map<PthStorage, string>,
): void {
  let key = storages.get(storage);
  if (key === undefined) storages.set(storage, (key = String(storages.size)));
  const id = key;
  const count = name === undefined ? storage.byteLength : storage.byteLength / DTYPE_BYTES[storage.dtype!];
  to.persistent([
    () => to.value("storage"),
    () => (name === undefined ? to.global("torch.storage", "UntypedStorage") : to.global("torch", name)),
    () => to.value(id),
    () => to.value("cpu"),
    () => to.value(count),
  ]);
}

function nameIn(
  names: Readonly<Record<string, StoredDtype | undefined>>,
  dtype: StoredDtype,
): string | undefined {
  return Object.keys(names).find((name) => names[name] === dtype);
}
