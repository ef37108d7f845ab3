import { dirname, isAbsolute, posix, relative, sep } from "node:path";
import { taskOf, type DataFile, type DataUse, type TableColumn } from "../protocol/data/dataFile.ts";
import { codeComment, codeKey, codeString } from "../protocol/text/code.ts";
import { maskSource } from "../source/sourceMask.ts";

type Table = DataFile & { kind: "table" };
type Images = DataFile & { kind: "images" };

/** Units of the first layer's output. */
const HIDDEN = 32;

/** The last column that can be predicted, as data.csv's own default. */
export const targetOf = ({ columns }: Table): TableColumn | undefined =>
  columns.findLast(({ type }) => type !== "text");

/** The use that the form begins with. */
export function firstUse(data: DataFile, name: string): DataUse {
  const into = { kind: "new" as const, name };
  const rest = { validation: 0.2, batchSize: 32, missing: "median" as const, normalize: true, into };
  if (data.kind === "images")
    return { ...rest, task: "classification", side: Math.min(64, data.height || 64) };
  const target = targetOf(data);
  const task = target === undefined ? "regression" : taskOf(target, data.rows);
  return { ...rest, ...(target === undefined ? {} : { target: target.name }), task, side: 64 };
}

/** Why a use makes no model; undefined if it does. */
export function problemOf(
  data: DataFile,
  { target, task }: DataUse,
): "target" | "numbers" | "classes" | undefined {
  if (data.kind === "images") return data.classes.some(({ images }) => images === 0) ? "classes" : undefined;
  const column = data.columns.find(({ name }) => name === target);
  if (column === undefined || column.type === "text") return "target";
  return task === "regression" && column.type !== "number" ? "numbers" : undefined;
}

/** Where a new file goes: beside the data, or into a folder of the workspace where that place is outside of them. */
export function newFileFolder(path: string, folders: readonly string[]): string {
  const beside = dirname(path);
  if (folders.some((folder) => isInside(beside, folder))) return beside;
  return folders.find((folder) => isInside(path, folder)) ?? folders[0] ?? beside;
}

function isInside(path: string, folder: string): boolean {
  const from = relative(folder, path);
  return from !== ".." && !from.startsWith(`..${sep}`) && !isAbsolute(from);
}

/** A name for a data set, from its file's. */
export function variableName(path: string): string {
  const base = path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
  const words = base.replace(/\.(?:csv|tsv|txt|parquet)?(?:\.gz)?$/i, "").match(/[A-Za-z0-9]+/g) ?? [
    "samples",
  ];
  const name = words
    .map((word, i) => (i === 0 ? word.toLowerCase() : word[0]!.toUpperCase() + word.slice(1)))
    .join("");
  const safe = /^[0-9]/.test(name) ? `data${name}` : name;
  return RESERVED.has(safe) ? `${safe}Data` : safe;
}

/** Names with other uses in the file, and likely names of data sets that are reserved words. */
const RESERVED = new Set([
  "data",
  "nn",
  "optim",
  "experiment",
  "torch",
  "transforms",
  "default",
  "new",
  "class",
  "import",
  "export",
  "function",
  "return",
  "const",
  "let",
  "var",
  "this",
  "null",
  "true",
  "false",
  "switch",
  "case",
  "delete",
  "package",
  "public",
  "private",
  "static",
  "enum",
  "in",
  "if",
  "for",
  "do",
  "try",
  "with",
  "while",
  "else",
  "void",
  "typeof",
  "super",
  "throw",
  "yield",
  "await",
  "interface",
]);

/** A file's local names of the library's exports. */
type Names = Readonly<Record<"data" | "transforms", string>>;

/** The lines that read the data, as a function. @param folder Of the `.nn.ts` file */
function dataLines(
  data: DataFile,
  use: DataUse,
  folder: string,
  name = variableName(data.path),
  names: Names = { data: "data", transforms: "transforms" },
): string {
  const path = codeString(shownPath(data.path, folder));
  const options = data.kind === "table" ? tableOptions(data, use) : imageOptions(use, names);
  const call =
    data.kind === "table"
      ? `${names.data}.${data.format ?? "csv"}(${path}, `
      : `new ${names.data}.ImageFolder(${path}, `;
  return `/** ${summaryOf(data, use)} */\nconst ${name} = () =>\n  ${call}{\n${options.map((line) => `    ${line},\n`).join("")}  });\n`;
}

/** Relative to the file, as data sets take it. */
function shownPath(path: string, folder: string): string {
  const from = relative(folder, path);
  return from === "" ? "." : from.split(sep).join(posix.sep);
}

function summaryOf(data: DataFile, { target }: DataUse): string {
  if (data.kind === "images")
    return `${data.more ? "More than " : ""}${data.classes.reduce((sum, { images }) => sum + images, 0)} images of ${data.classes.length} classes.`;
  const rows = `${data.more ? "more than " : ""}${data.rows} rows`;
  return codeComment(`A table of ${rows}; ${target ?? "nothing"} is predicted.`);
}

function tableOptions(data: Table, { target, task, missing, normalize }: DataUse): string[] {
  const { columns, header, delimiter } = data;
  const types = columns.flatMap(({ name, type }): string[] => {
    if (type === "text") return [`${codeKey(name)}: "text"`];
    return name === target && task === "classification" && type === "number"
      ? [`${codeKey(name)}: "category"`]
      : [];
  });
  const lacking = columns.some((column) => column.missing > 0 && column.type !== "text");
  const lost = columns.some((column) => column.name === target && column.missing > 0);
  return [
    ...(header ? [] : ["header: false"]),
    ...(delimiter === "," ? [] : [`delimiter: ${codeString(delimiter)}`]),
    `target: ${codeString(target ?? "")}`,
    ...(types.length === 0 ? [] : [`types: { ${types.join(", ")} }`]),
    ...(lacking ? [`missing: ${codeString(lost ? "drop" : missing)}`] : []),
    ...(normalize ? ['normalize: "standard"'] : []),
  ];
}

const imageOptions = ({ side }: DataUse, { transforms }: Names): string[] => [
  'mode: "RGB"',
  `transform: new ${transforms}.Resize([${side}, ${side}])`,
];

/** A whole file: the data, a small network, and an experiment. */
export function wholeFile(data: DataFile, use: DataUse, folder: string): string {
  const imports =
    data.kind === "table" ? "nn, optim, data, experiment" : "nn, optim, data, experiment, transforms";
  const { task, validation, batchSize } = use;
  const name = variableName(data.path);
  const loss = task === "classification" ? "CrossEntropyLoss" : "MSELoss";
  return `// ${codeComment(`A small network for ${shownPath(data.path, folder)}`)}
import { ${imports} } from "layerwise";

${dataLines(data, use, folder)}
export default experiment({
  seed: 0,
  model: () =>
    new nn.Sequential(
${(data.kind === "table" ? tableLayers(data, use) : imageLayers(data)).map((line) => `      ${line},\n`).join("")}    ),
  data: ${name},
  validation: ${validation},
  loss: new nn.${loss}(),
  metrics: [${task === "classification" ? '"accuracy"' : '"mae", "r2"'}],
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
  batchSize: ${batchSize},
  epochs: 50,
});
`;
}

function tableLayers(data: Table, { target, task }: DataUse): string[] {
  const column = data.columns.find(({ name }) => name === target);
  const outputs = task === "classification" ? Math.max(2, column?.distinct ?? 2) : 1;
  return [
    `new nn.Linear(${featuresOf(data, target)}, ${HIDDEN})`,
    "new nn.ReLU()",
    `new nn.Linear(${HIDDEN}, ${outputs})`,
  ];
}

/** Numbers of a sample: a category is one for each of its values. */
const featuresOf = ({ columns }: Table, target: string | undefined): number =>
  columns
    .filter(({ name, type }) => name !== target && type !== "text")
    .reduce((sum, { type, distinct }) => sum + (type === "category" ? distinct : 1), 0);

function imageLayers({ classes }: Images): string[] {
  return [
    "new nn.Conv2d(3, 16, 3, { padding: 1 })",
    "new nn.ReLU()",
    "new nn.MaxPool2d(2)",
    "new nn.Conv2d(16, 32, 3, { padding: 1 })",
    "new nn.ReLU()",
    "new nn.AdaptiveAvgPool2d(4)",
    "new nn.Flatten()",
    `new nn.Linear(32 * 4 * 4, ${classes.length})`,
  ];
}

/** An import, whose length has a limit: a text of nothing but the word would take minutes. */
const IMPORT = /^import\b[^;"']{0,1999}["'][^"'\n]{0,999}["'][^\S\n]{0,99};?[^\S\n]{0,99}\n?/gm;

/** A name that doesn't occur in the text. */
function freeName(text: string, name: string): string {
  const taken = new Set(text.match(/[A-Za-z_$][\w$]*/g));
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}${n}`;
    if (!taken.has(candidate)) return candidate;
  }
}

/** Whether code may declare a name: it has the name in other places than those of properties. */
function mayDeclare(masked: string, name: string): boolean {
  const property = String.raw`(?<!\.\.)\.\s{0,99}`;
  const key = String.raw`\??:`;
  return new RegExp(
    String.raw`\b(?:const|let|var)\s{1,99}${name}\b|(?<![\w$]|${property})${name}(?![\w$]|${key})`,
  ).test(masked);
}

/** Returns a file's local name of an export of the library, and the import that the file lacks for it. */
function nameOf(text: string, masked: string, name: string): { local: string; lacks?: string } {
  const imported = [
    ...text.matchAll(/^import\s{1,99}\{([^}]{0,9999})\}\s{0,99}from\s{0,99}["']layerwise["']/gm),
  ].flatMap((match) => (match[1] ?? "").split(",").map((one) => one.trim().split(/\s{1,99}as\s{1,99}/)));
  const found = imported.find(([original]) => original === name);
  if (found !== undefined) return { local: found[1] ?? name };
  if (!mayDeclare(masked, name)) return { local: name, lacks: name };
  const local = freeName(text, name);
  return { local, lacks: `${name} as ${local}` };
}

/** Where lines go into an existing file: after its imports, with those that it lacks. */
export function insertion(
  text: string,
  data: DataFile,
  use: DataUse,
  folder: string,
): { offset: number; code: string } {
  const masked = maskSource(text);
  const found = { data: nameOf(text, masked, "data"), transforms: nameOf(text, masked, "transforms") };
  const used = data.kind === "table" ? [found.data] : [found.data, found.transforms];
  const lacking = used.flatMap(({ lacks }) => lacks ?? []);
  const names = { data: found.data.local, transforms: found.transforms.local };
  // The new imports are names of the file too.
  const variable = freeName(`${text}\n${Object.values(names).join(" ")}`, variableName(data.path));
  const all = [...text.matchAll(IMPORT)];
  const last = all.at(-1);
  const offset = last === undefined ? 0 : last.index + last[0].length;
  const before = offset > 0 && text[offset - 1] !== "\n" ? "\n" : "";
  const needed = lacking.length === 0 ? "" : `import { ${lacking.join(", ")} } from "layerwise";\n`;
  return {
    offset,
    code: `${before}${needed}\n${dataLines(data, use, folder, variable, names)}`,
  };
}
