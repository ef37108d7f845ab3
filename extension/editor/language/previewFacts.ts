import type { CallReport, FileReport, ModelReport, SummaryRow, TensorType } from "../../protocol/preview.ts";
import { modelTitle } from "../../protocol/modelForms.ts";
import {
  joinMarkdown,
  markdownBlock,
  markdownCode,
  md,
  type Markdown,
} from "../../protocol/text/markdown.ts";
import { formatCount } from "../format.ts";
import { maskSource } from "../../source/sourceMask.ts";
import { callSpan, offsetFinder, type CallSpan } from "../../source/textSpans.ts";

/** A preview's findings at one place of the text. */
export interface Fact extends CallSpan {
  /** Title of the model whose preview found it; that model's next preview replaces it. */
  readonly model: string;
  /** Calls made here. */
  readonly calls: readonly CallReport[];
  /** Layers called or constructed here. */
  readonly rows: readonly SummaryRow[];
  readonly kind: "call" | "layer";
}

/** Collects the facts of a file's report. */
export function factsOf(report: FileReport, text: string): Fact[] {
  const masked = maskSource(text);
  const offsetOf = offsetFinder(text);
  return report.models.flatMap((model) => [
    ...callFacts(model, report.file, masked, offsetOf),
    ...layerFacts(model, report.file, masked, offsetOf),
  ]);
}

type OffsetFinder = ReturnType<typeof offsetFinder>;

function callFacts(model: ModelReport, file: string, masked: string, offsetOf: OffsetFinder): Fact[] {
  const rows = new Map(model.rows.map((row) => [row.path, row]));
  const places = new Map<number, CallReport[]>();
  for (const call of model.calls ?? []) {
    if (call.position?.file !== file) continue;
    const start = offsetOf(call.position);
    places.set(start, [...(places.get(start) ?? []), call]);
  }
  return [...places].map(([start, calls]) => ({
    ...callSpan(masked, start),
    kind: "call",
    model: modelTitle(model),
    calls,
    rows: [...new Set(calls.map(({ path }) => path))].flatMap((path) =>
      path === undefined ? [] : (rows.get(path) ?? []),
    ),
  }));
}

function layerFacts(model: ModelReport, file: string, masked: string, offsetOf: OffsetFinder): Fact[] {
  const places = new Map<number, SummaryRow[]>();
  for (const row of model.rows) {
    if (row.depth === 0 || row.position?.file !== file) continue;
    const start = offsetOf(row.position);
    // Not the inner layers of a library layer, which are constructed at the same place.
    const known = places.get(start) ?? [];
    if (!known.some(({ path }) => row.path.startsWith(`${path}.`))) places.set(start, [...known, row]);
  }
  return [...places].map(([start, rows]) => {
    const paths = new Set(rows.map(({ path }) => path));
    return {
      ...callSpan(masked, start),
      kind: "layer",
      model: modelTitle(model),
      calls: (model.calls ?? []).filter(({ path }) => path !== undefined && paths.has(path)),
      rows,
    };
  });
}

/** `[N, 16, 8, 8]`. */
export const formatType = ({ shape }: TensorType): string => `[${shape.join(", ")}]`;

/** The output shapes of the calls at one place; sizes that differ between calls are dots. */
export function outputLabel(calls: readonly CallReport[]): string | undefined {
  const outputs = calls.map((call) => call.outputs).filter((types) => types.length > 0);
  const [first] = outputs;
  if (first === undefined) return undefined;
  if (outputs.some((types) => types.length !== first.length)) return undefined;
  const labels = first.map((_, i) => mergedLabel(outputs.map((types) => types[i]!)));
  const shown = labels.length > 3 ? [...labels.slice(0, 2), `… ${labels.length} tensors`] : labels;
  return shown.length === 1 ? shown[0] : `(${shown.join(", ")})`;
}

function mergedLabel(types: readonly TensorType[]): string {
  const [first] = types;
  const rank = first!.shape.length;
  if (types.some(({ shape }) => shape.length !== rank)) return "[…]";
  const sizes = first!.shape.map((size, d) => (types.every(({ shape }) => shape[d] === size) ? size : "…"));
  return `[${sizes.join(", ")}]`;
}

/** Parameter count of the layers constructed at one place: `650 parameters`, `12 × 650 parameters`. */
export function parameterLabel(rows: readonly SummaryRow[]): string | undefined {
  const counted = rows.filter(({ parameters }) => parameters > 0);
  const [first] = counted;
  if (first === undefined) return undefined;
  const label = (all: readonly SummaryRow[], text = ""): string => {
    const sum = all.reduce((count, { parameters }) => count + parameters, 0);
    const frozen = sum - all.reduce((count, { trainable }) => count + trainable, 0);
    const words = `${formatCount(sum)} ${sum === 1 ? "parameter" : "parameters"}${text}`;
    if (frozen === 0) return words;
    return frozen === sum ? `${words}, frozen` : `${words}, ${formatCount(frozen)} frozen`;
  };
  if (counted.length === 1) return label(counted);
  const alike = counted.every(
    ({ parameters, trainable }) => parameters === first.parameters && trainable === first.trainable,
  );
  return alike ? `${counted.length} × ${label([first])}` : label(counted, ` in ${counted.length} layers`);
}

/** Makes a hover's Markdown for a call or a layer. */
export function describeFact({ calls, rows, kind, start, nameEnd }: Fact, text: string): string {
  const parts = rows.slice(0, MAX_LINES).map((row) => {
    const own = calls.filter(({ path }) => path === row.path);
    return paragraphs([
      markdownBlock(`(${row.path === "" ? "model" : row.path}): ${row.className}(${row.detail})`),
      ...flows(own, row),
      ...(row.outputAxes === undefined ? [] : [md`${markdownCode(row.outputAxes)}`]),
      md`${sizes(row)}`,
    ]);
  });
  const functions = calls.filter(({ path }) => path === undefined || !rows.some((row) => row.path === path));
  if (kind === "call" && functions.length > 0)
    parts.push(paragraphs([markdownBlock(`${text.slice(start, nameEnd)}(…)`), ...flows(functions)]));
  if (rows.length > MAX_LINES) parts.push(md`… ${rows.length - MAX_LINES} more`);
  return joinMarkdown(parts, "\n\n---\n\n").value;
}

const MAX_LINES = 6;
const paragraphs = (parts: readonly Markdown[]): Markdown => joinMarkdown(parts, "\n\n");

/** Input → output, a line for each kind of call. */
function flows(calls: readonly CallReport[], row?: SummaryRow): Markdown[] {
  if (calls.length === 0)
    return row?.outputShape === undefined
      ? []
      : [md`${markdownCode(row.inputShape ?? "")} → ${markdownCode(row.outputShape)}`];
  const lines = calls.map(({ inputs, outputs, times }) => {
    const count = times > 1 ? md` (${times} ×)` : md``;
    return md`${typesLabel(inputs)} → ${typesLabel(outputs)}${count}`;
  });
  const distinct = [...new Map(lines.map((line) => [line.value, line])).values()];
  return distinct.length > MAX_LINES
    ? [
        ...distinct.slice(0, MAX_LINES),
        md`
…
        `,
      ]
    : distinct;
}

/** Shapes with dtypes, for a hover. */
export function typesLabel(types: readonly TensorType[]): Markdown {
  if (types.length === 0)
    return md`
–
    `;
  return joinMarkdown(
    types.map((type) => md`${markdownCode(formatType(type))} ${type.dtype}`),
    ", ",
  );
}

function sizes({ parameters, trainable, multiplyAdds }: SummaryRow): string {
  const frozen = parameters - trainable;
  const parts = [
    parameters === 0 ? "no parameters" : `${formatCount(parameters)} parameters`,
    ...(frozen > 0 ? [`${formatCount(frozen)} frozen`] : []),
    ...(multiplyAdds === undefined || multiplyAdds === 0
      ? []
      : [`${formatCount(multiplyAdds)} multiply-adds a batch`]),
  ];
  return parts.join(" · ");
}
