// Names in PyTorch and in the library: the lists of docs/from-pytorch.md.
import fs from "node:fs";
import { data, F, nn, optim, torch, transforms } from "layerwise";

const { names } = JSON.parse(
  fs.readFileSync(new URL("../../fixtures/names/torch.json", import.meta.url), "utf8"),
) as { version: string; names: Record<string, string[]> };

/** PyTorch's name in camelCase: `conv_transpose2d` is `convTranspose2d`, `masked_fill_` is `maskedFill_`. */
export const camelCase = (name: string): string =>
  name.replaceAll(/(?<=[a-zA-Z0-9])_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** Names that don't follow the rule. */
const RENAMED: Readonly<Record<string, string>> = { set_printoptions: "setPrintOptions" };

const nameOf = (name: string): string => RENAMED[name] ?? camelCase(name);

/** Everything that a tensor has. */
function members(): Set<string> {
  const found = new Set<string>();
  for (
    let owner: unknown = torch.zeros(1);
    owner !== null && owner !== Object.prototype;
    owner = Object.getPrototypeOf(owner)
  )
    for (const name of Object.getOwnPropertyNames(owner)) found.add(name);
  return found;
}

const OURS: Readonly<Record<string, { name: string; has: ReadonlySet<string>; hidesOwn?: boolean }>> = {
  torch: { name: "torch", has: new Set(Object.keys(torch)) },
  // A tensor has internals too, which are no public names.
  "torch.Tensor": { name: "Tensor", has: members(), hidesOwn: true },
  "torch.nn": { name: "nn", has: new Set(Object.keys(nn)) },
  "torch.nn.functional": { name: "F", has: new Set(Object.keys(F)) },
  "torch.nn.init": { name: "nn.init", has: new Set(Object.keys(nn.init)) },
  "torch.nn.utils": { name: "nn.utils", has: new Set(Object.keys(nn.utils)) },
  "torch.nn.utils.rnn": { name: "nn.utils.rnn", has: new Set(Object.keys(nn.utils.rnn)) },
  "torch.optim": { name: "optim", has: new Set(Object.keys(optim)) },
  "torch.optim.lr_scheduler": { name: "optim.lrScheduler", has: new Set(Object.keys(optim.lrScheduler)) },
  "torch.optim.swa_utils": { name: "optim.swaUtils", has: new Set(Object.keys(optim.swaUtils)) },
  "torch.autograd": { name: "torch.autograd", has: new Set(Object.keys(torch.autograd)) },
  "torch.autograd.functional": {
    name: "torch.autograd.functional",
    has: new Set(Object.keys(torch.autograd.functional)),
  },
  "torch.distributions": { name: "torch.distributions", has: new Set(Object.keys(torch.distributions)) },
  "torch.func": { name: "torch.func", has: new Set(Object.keys(torch.func)) },
  "torch.fft": { name: "torch.fft", has: new Set(Object.keys(torch.fft)) },
  "torch.linalg": { name: "torch.linalg", has: new Set(Object.keys(torch.linalg)) },
  "torch.special": { name: "torch.special", has: new Set(Object.keys(torch.special)) },
  "torch.sparse": { name: "torch.sparse", has: new Set(Object.keys(torch.sparse)) },
  "torch.utils.data": { name: "data", has: new Set(Object.keys(data)) },
  "torchvision.transforms": { name: "transforms", has: new Set(Object.keys(transforms)) },
  "torchvision.transforms.functional": {
    name: "transforms.functional",
    has: new Set(Object.keys(transforms.functional)),
  },
};

/** Why a name is not there, the first that fits. */
const REASONS: readonly (readonly [reason: string, names: RegExp])[] = [
  ["images of Pillow, which are tensors here", /PIL|_pil_|^pil_|^to_grayscale$/],
  [
    "complex numbers and other element types",
    /complex|conj|^(is)?real$|imag|angle|polar|c?float$|cdouble|c?half|bfloat16|double|short|^int$|^char$|^byte$|adjoint|can_cast|promote|dtype|^type$/,
  ],
  [
    "sparse tensors",
    /sparse|coo|csr|csc|bsr|bsc|c(row|col)_|col_indices|coalesce|sp?addmm|s?smm|hspmm|^(indices|values)|dense|Sparse/,
  ],
  ["quantization", /quantiz|^q_|qscheme|int_repr|scaled_|grouped_mm/],
  [
    "devices, memory, threads, compilation",
    /device|cuda|xpu|ipu|mtia|mkldnn|pin_|pinned|storage|share|record_stream|thread|determin|warn_always|precision|compile|^cond$|fork|^wait$|import_ir|hash|typename|unify|merge_type|flush|data_ptr|strided|resize|^set_$|is_set_to|module_load|vmap|inference$|subclass|dim_order|memory_format|boolean_dispatch|handle_torch|stateless|Distributed|^SyncBatch|buffer|from_file|from_numpy|^numpy$/,
  ],
  ["windows, spectra", /window|stft/],
  ["copies of what views share, unchecked variants", /_copy$|unsafe_/],
  ["pipes of torchdata", /Pipe|DataChunk|datapipe|runtime_validation|argument_validation|non_deterministic/],
  ["changes in place", /_$/],
];

const code = (list: readonly string[]): string => list.map((name) => `\`${name}\``).join(", ");

/** The lines on one module of PyTorch. */
export function listsOf(module: string): string {
  const wanted = names[module];
  const ours = OURS[module];
  if (wanted === undefined || ours === undefined) throw new Error(`no names of ${module}`);
  const there = wanted.filter((name) => ours.has.has(nameOf(name)));
  const missing = wanted.filter((name) => !ours.has.has(nameOf(name)));
  const known = new Set(wanted.map(nameOf));
  const own = ours.hidesOwn === true ? [] : [...ours.has].filter((name) => !known.has(name)).sort();

  const groups = new Map<string, string[]>();
  for (const name of missing) {
    const place = elsewhere(module, name);
    const reason = place ?? REASONS.find(([, pattern]) => pattern.test(name))?.[0] ?? "others";
    groups.set(reason, [...(groups.get(reason) ?? []), name]);
  }
  const order = [...groups.keys()].sort((a, b) => rank(a) - rank(b));
  return [
    `${there.length} of ${wanted.length}: ${code(there.map(nameOf))}.`,
    ...(own.length === 0 ? [] : [`Not on PyTorch's list: ${code(own)}.`]),
    ...(missing.length === 0
      ? []
      : ["Not there:", order.map((reason) => `- ${reason}: ${code(groups.get(reason)!)}`).join("\n")]),
  ].join("\n\n");
}

/** The other place of a name that a module lacks. */
function elsewhere(module: string, name: string): string | undefined {
  const ours = nameOf(name);
  if (module === "torch") {
    if (OURS["torch.nn.functional"]!.has.has(ours)) return "in `F`";
    if (OURS["torch.Tensor"]!.has.has(ours)) return "as methods of tensors";
  }
  return module === "torch.Tensor" && OURS["torch"]!.has.has(ours) ? "as functions of `torch`" : undefined;
}

/** Order of the reasons: names that are elsewhere first, those without a reason last. */
function rank(reason: string): number {
  const at = REASONS.findIndex(([one]) => one === reason);
  if (reason === "others") return REASONS.length;
  return at;
}
