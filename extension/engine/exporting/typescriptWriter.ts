import { codeComment } from "../../protocol/text/code.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { toHostArray } from "../../tensor/core/dtype.ts";
import { internal, TensorError } from "../../tensor/core/errors.ts";
import type { OnnxNode } from "../../tensor/lowering/onnx.ts";
import { numel, sameShape, strides, type Shape } from "../../tensor/core/shape.ts";
import { withUses } from "./typescriptHelpers.ts";
import { walk } from "./walk.ts";

/** Numbers in all that a file of TypeScript may have: editors and compilers take long for more. */
export const MOST_NUMBERS = 100_000;

/** A tensor of the model: a variable of the function, or a constant. */
export interface Numbers {
  readonly shape: Shape;
  /** Of a constant. */
  readonly data?: HostArray;
  /** Of a variable. */
  readonly code?: string;
  /** Of a constant, and how it is to be called. */
  readonly name?: string;
}

/** Words that mean something else in JavaScript. */
const RESERVED =
  `arguments async await break case catch class const continue debugger default delete do else enum eval
  export extends false finally for function if implements import in instanceof interface let new null package private
  protected public return static super switch this throw true try typeof undefined var void while with yield
  Math Float32Array Array RangeError Infinity NaN`.split(/\s+/);

/** Writes the body of a function, the constants that it needs, and knows the helpers that it calls. */
export class TypeScriptWriter {
  readonly lines: string[] = [];
  readonly constants: string[] = [];
  /** Names of constants that are written. */
  readonly #written = new Map<HostArray, string>();
  readonly #helpers = new Set<string>();
  readonly #names = new Map<string, number>();
  #module = "";
  #node: OnnxNode | undefined;
  #count = 0;
  /** The module of the last line. */
  #told = "";
  /** The module that the last variable is called after. */
  #named = "";

  readonly #needed: ReadonlySet<string>;

  /**
   * @param helperNames names that no variable may have
   * @param needed outputs of nodes that others take, or that are the model's
   */
  constructor(helperNames: readonly string[], needed: ReadonlySet<string>) {
    this.#needed = needed;
    for (const name of [...RESERVED, ...helperNames]) this.#names.set(name, 1);
  }

  /** Writes what a node becomes. */
  at<T>(node: OnnxNode, body: () => T): T {
    this.#node = node;
    this.#module = moduleOf(node);
    return body();
  }

  /** The helpers that the function calls, and those that they call. */
  get used(): string[] {
    return withUses(this.#helpers);
  }

  /** A name that can be a variable's, and is no other's. */
  unique(wanted: string): string {
    const words = wanted.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
    const joined = words
      .map((word, i) => (i === 0 ? word[0]!.toLowerCase() : word[0]!.toUpperCase()) + word.slice(1))
      .join("");
    const name = /^[A-Za-z]/.test(joined) ? joined : `layer${joined}`;
    const count = this.#names.get(name) ?? 0;
    this.#names.set(name, count + 1);
    return count === 0 ? name : this.unique(`${name}_${count + 1}`);
  }

  /** Says that a helper is called. */
  helper(name: string): string {
    this.#helpers.add(name);
    return name;
  }

  /** A variable with a helper's result. Constants among its arguments get a name. */
  call(
    helper: string,
    shape: Shape,
    ...args: readonly (Numbers | number | string | readonly number[])[]
  ): Numbers {
    return this.variable(shape, this.expression(helper, args));
  }

  expression(helper: string, args: readonly (Numbers | number | string | readonly number[])[]): string {
    const written = args.map((arg) => {
      if (typeof arg === "string") return arg;
      if (typeof arg === "number") return literal(arg);
      return isList(arg) ? `[${arg.map(literal).join(", ")}]` : this.code(arg);
    });
    return `${this.helper(helper)}(${written.join(", ")})`;
  }

  variable(shape: Shape, expression: string): Numbers {
    const name = this.unique(this.#wanted());
    this.#line(`const ${name} = ${expression};`);
    return { shape, code: name };
  }

  /** Variables with the parts of what a helper gives, for those outputs of the node that something needs. */
  parts(shapes: readonly Shape[], expression: string): Numbers[] {
    const names = shapes.map((_, i) =>
      this.#needed.has(this.#node!.outputs[i]!) ? this.unique(this.#wanted()) : "",
    );
    this.#line(`const [${names.join(", ").replace(/[, ]+$/, "")}] = ${expression};`);
    return shapes.map((shape, i) => ({ shape, code: names[i]! }));
  }

  code(value: Numbers): string {
    return value.code ?? this.#constant(value);
  }

  /** Elements in another order, some left out or repeated. Of a constant it is one. */
  view(x: Numbers, shape: Shape, steps: readonly number[], start = 0): Numbers {
    if (start === 0 && sameShape(x.shape, shape) && sameShape(steps, strides(shape))) return x;
    const { data, name } = x;
    if (data !== undefined) {
      const seen = toHostArray(new Float64Array(numel(shape)), "float32");
      walk(shape, steps, start, (i, place) => (seen[i] = data[place]!));
      return { shape, data: seen, ...(name === undefined ? {} : { name }) };
    }
    return this.call("view", shape, x, shape, steps, ...(start === 0 ? [] : [start]));
  }

  /** Repeated to a shape. */
  broadcast(x: Numbers, shape: Shape): Numbers {
    if (numel(x.shape) === numel(shape)) return { ...x, shape };
    const missing = shape.length - x.shape.length;
    const own = strides(x.shape);
    const steps = shape.map((_, d) => (d < missing || x.shape[d - missing] === 1 ? 0 : own[d - missing]!));
    return this.view(x, shape, steps);
  }

  /** Dimensions in another order. */
  permuted(x: Numbers, order: readonly number[]): Numbers {
    const own = strides(x.shape);
    const shape = order.map((d) => x.shape[d]!);
    // Nothing moves where only dimensions of length 1 do.
    const moving = order.filter((d) => x.shape[d] !== 1);
    if (moving.every((d, i) => i === 0 || d > moving[i - 1]!)) return { ...x, shape };
    return this.view(
      x,
      shape,
      order.map((d) => own[d]!),
    );
  }

  refuse(reason: string): never {
    const node = this.#node ?? internal("nothing to refuse");
    const error = new TensorError("unsupported", `${node.op} can't be exported to TypeScript: ${reason}`);
    const module = moduleOf(node);
    if (module !== "") error.module = module;
    throw error;
  }

  /** Under a comment that says of which module it is. */
  #line(text: string): void {
    if (this.#module !== this.#told && this.#module !== "")
      this.lines.push(`// ${codeComment(this.#module)}`);
    this.#told = this.#module;
    this.lines.push(text);
  }

  #wanted(): string {
    const node = this.#node ?? internal("a variable of no node");
    if (this.#module === "") return node.op;
    const first = this.#module !== this.#named;
    this.#named = this.#module;
    return first ? this.#module : `${this.#module} ${node.op}`;
  }

  #constant({ data, name, shape }: Numbers): string {
    const values = data ?? internal("a variable without a name");
    const known = this.#written.get(values);
    if (known !== undefined) return known;
    const unique = this.unique(name ?? "constant");
    this.#written.set(values, unique);
    const [first] = values;
    const comment = `/** [${shape.join(", ")}] */`;
    if (first !== undefined && values.every((x) => Object.is(x, first))) {
      const filled = first === 0 ? "" : `.fill(${literal(first)})`;
      this.constants.push(`${comment}\nconst ${unique} = new Float32Array(${values.length})${filled};`);
      return unique;
    }
    this.#count += values.length;
    if (this.#count > MOST_NUMBERS)
      throw new TensorError(
        "unsupported",
        `the model has more than ${MOST_NUMBERS.toLocaleString("en")} numbers, too many for a file of TypeScript`,
        "export it as onnx or tfjs, which have their weights in files of their own kind",
      );
    this.constants.push(`${comment}\nconst ${unique} = new Float32Array([\n${lines(values)}]);`);
    return unique;
  }
}

const isList = (arg: Numbers | readonly number[]): arg is readonly number[] => Array.isArray(arg);

/** Dotted path of the module that a node is of: its name has slashes. */
const moduleOf = ({ name }: OnnxNode): string => name.split("/").slice(1, -1).join(".");

/** The shortest text that is the same number in 32 bits. */
export function literal(x: number): string {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Object.is(Math.fround(short), Math.fround(x))) return Object.is(short, -0) ? "-0" : String(short);
  }
  return String(x);
}

/** Numbers with commas, in lines. */
function lines(values: HostArray): string {
  let text = "";
  let line = " ";
  for (const x of values) {
    const next = ` ${literal(x)},`;
    if (line.length + next.length > 110) {
      text += `${line}\n`;
      line = " ";
    }
    line += next;
  }
  return `${text}${line}\n`;
}
