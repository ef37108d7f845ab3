import { TensorError } from "../../tensor/core/errors.ts";
import { codeComment, codeKey } from "../../protocol/text/code.ts";
import type { OnnxGraph, OnnxValue } from "../../tensor/lowering/onnx.ts";
import { numel, type Shape } from "../../tensor/core/shape.ts";
import { HELPERS } from "./typescriptHelpers.ts";
import { RULES } from "./typescriptRules.ts";
import { TypeScriptWriter, type Numbers } from "./typescriptWriter.ts";

/** The first line of files that are written here. */
export const TYPESCRIPT_HEADER = "// Written by Layerwise";

/**
 * A model as a module of TypeScript without dependencies: one function, weights inside.
 * @param graph for one size of the batch
 * @param source what it was made of, for people
 * @throws TensorError naming a node that can't be exported and its module, and for a model that is too large
 */
export function encodeTypeScript(graph: OnnxGraph, source: string): string {
  const needed = neededValues(graph);
  const w = new TypeScriptWriter(Object.keys(HELPERS), needed);
  const name = w.unique(graph.name);
  const values = new Map<string, Numbers>();
  for (const { name: given, shape, data } of graph.initializers)
    values.set(given, { shape, data, name: given });
  const parameters = graph.inputs.map((input) => {
    const parameter = w.unique(input.name);
    const code = w.unique(`${input.name} values`);
    w.lines.push(...checked(name, parameter, code, input));
    values.set(input.name, { shape: sizes(input), code });
    return parameter;
  });
  for (const node of graph.nodes) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    const inputs = node.inputs.map((input) => values.get(input));
    const outputs = w.at(node, () => RULES[node.op]?.(w, inputs, node) ?? w.refuse("it has no counterpart"));
    outputs.forEach((value, i) => values.set(node.outputs[i]!, value));
  }
  const results = graph.outputs.map((output) => w.code(values.get(output.name)!));
  const one = graph.outputs.length === 1;
  const type = one
    ? "Float32Array"
    : `{ ${graph.outputs.map((output) => `${codeKey(output.name)}: Float32Array`).join("; ")} }`;
  const result = one
    ? results[0]!
    : `{ ${graph.outputs.map((output, i) => `${codeKey(output.name)}: ${results[i]!}`).join(", ")} }`;
  const signature = parameters.map((parameter) => `${parameter}: ArrayLike<number>`).join(", ");
  return [
    `${TYPESCRIPT_HEADER} from ${codeComment(source)}. It needs no library.\n`,
    documentation(graph, parameters),
    `export function ${name}(${signature}): ${type} {`,
    ...w.lines.map((line) => `  ${line}`),
    `  return ${result};\n}\n`,
    ...w.used.map((helper) => `${HELPERS[helper]!.text.trim()}\n`),
    ...w.constants.map((text) => `${text}\n`),
  ].join("\n");
}

/** Names of what the outputs come from. */
function neededValues({ nodes, outputs }: OnnxGraph): Set<string> {
  const needed = new Set(outputs.map(({ name }) => name));
  for (const node of nodes.toReversed())
    if (node.outputs.some((output) => needed.has(output))) for (const input of node.inputs) needed.add(input);
  return needed;
}

/** Sizes are known: the graph is of one size of the batch. */
function sizes({ name, shape }: OnnxValue): Shape {
  return shape.map((size) => {
    if (typeof size === "string") throw new TensorError("unsupported", `the size ${size} of ${name} is free`);
    return size;
  });
}

function checked(name: string, parameter: string, code: string, input: OnnxValue): string[] {
  const count = numel(sizes(input));
  const message = `\`${name}() takes ${count} numbers as ${parameter}, but got \${${parameter}.length}\``;
  return [
    `if (${parameter}.length !== ${count}) throw new RangeError(${message});`,
    `const ${code} = Float32Array.from(${parameter});`,
  ];
}

function documentation({ name, inputs, outputs }: OnnxGraph, parameters: readonly string[]): string {
  const text = ({ shape }: OnnxValue): string => `[${shape.join(", ")}]`;
  return [
    "/**",
    ` * What ${codeComment(name)} gives, as it computes in evaluation mode. Tensors are arrays of all their numbers:`,
    " * those of the last dimension lie side by side.",
    ...inputs.map((input, i) => ` * @param ${parameters[i]!} ${text(input)}`),
    ` * @returns ${outputs.map(text).join(", ")}`,
    " */",
  ].join("\n");
}
