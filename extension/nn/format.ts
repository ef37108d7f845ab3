// Python's format(): what stands after the colon in f"{loss:.4f}".
import { kindOf, TensorError } from "../tensor/core/errors.ts";
import { item } from "../tensor/functions/creation/conversion.ts";
import { isSize } from "../tensor/core/size.ts";
import { Tensor } from "../tensor/core/tensor.ts";
import { py, pyFloat } from "./module/repr.ts";
import { str } from "./print.ts";

interface Spec {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  /** Whether a result of −0 loses its sign. */
  readonly positiveZero: boolean;
  readonly alternate: boolean;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | undefined;
  readonly type: string;
}

/** A number's text in parts, before it is padded. */
interface Parts {
  readonly negative: boolean;
  readonly prefix: string;
  readonly whole: string;
  /** Point, fraction, exponent, percent sign. */
  readonly rest: string;
}

/**
 * A value as Python's `format(value, spec)` writes it: `format(0.12345, ".4f")` is `"0.1235"`, rounded as Python rounds.
 * Takes numbers, strings, booleans and tensors of one element; whole numbers without a type are ints. Without a
 * specification it takes any value, and writes what `print` does: `format([x, y])` is the text of a list of tensors.
 *
 * @throws TensorError "unsupported format string passed to list.__format__"
 * @throws TensorError "Unknown format code 'd' for object of type 'float'"
 * @see https://docs.python.org/3/library/string.html#format-specification-mini-language
 */
export function format(value: unknown, spec = ""): string {
  if (value instanceof Tensor && (spec === "" ? value.ndim === 0 : value.numel() === 1)) {
    const scalar = item(value);
    // A float tensor's element is a float, though it may be whole.
    const whole = value.dtype === "float32" && spec === "" && typeof scalar === "number";
    return whole ? pyFloat(scalar) : format(scalar, spec);
  }
  if (!isPlain(value)) {
    if (spec === "") return str(value);
    throw new TensorError("value", `unsupported format string passed to ${typeName(value)}.__format__`);
  }
  if (spec === "")
    return typeof value === "string" ? value : typeof value === "bigint" ? String(value) : py(value);
  const kind = typeof value === "string" ? "str" : Number.isInteger(Number(value)) ? "int" : "float";
  const parsed = parse(spec, kind);
  if (typeof value === "string") return formatText(value, parsed, spec);
  return formatNumber(typeof value === "bigint" ? value : Number(value), parsed, kind);
}

const PYTHON_TYPES: Readonly<Record<string, string>> = {
  null: "NoneType",
  undefined: "NoneType",
  Object: "dict",
  Map: "dict",
  Set: "set",
};

/** Python's name of the type that a value stands for. */
function typeName(value: unknown): string {
  if (Array.isArray(value) && isSize(value)) return "torch.Size";
  const kind = kindOf(value);
  return Object.hasOwn(PYTHON_TYPES, kind) ? PYTHON_TYPES[kind]! : kind;
}

const isPlain = (x: unknown): x is number | bigint | string | boolean =>
  typeof x === "number" || typeof x === "bigint" || typeof x === "string" || typeof x === "boolean";

function parse(spec: string, kind: string): Spec {
  const match = /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/su.exec(
    spec,
  );
  if (match === null) {
    throw new TensorError("value", `Invalid format specifier '${spec}' for object of type '${kind}'`);
  }
  const [, fill, align, sign = "-", zero, alternate, padded, width, grouping = "", precision, type = ""] =
    match;
  return {
    fill: fill ?? (padded === undefined ? " " : "0"),
    align: align ?? (padded !== undefined && kind !== "str" ? "=" : kind === "str" ? "<" : ">"),
    sign,
    positiveZero: zero !== undefined,
    alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping,
    precision: precision === undefined ? undefined : Number(precision),
    type,
  };
}

function formatText(value: string, spec: Spec, text: string): string {
  if (spec.type !== "" && spec.type !== "s") return unknown(spec.type, "str");
  if (spec.align === "=") {
    throw new TensorError("value", "'=' alignment not allowed in string format specifier");
  }
  if (spec.grouping !== "") {
    throw new TensorError("value", `Invalid format specifier '${text}' for object of type 'str'`);
  }
  const characters = Array.from(value);
  return padded(characters.slice(0, spec.precision ?? characters.length).join(""), spec);
}

function unknown(type: string, kind: string): never {
  throw new TensorError("value", `Unknown format code '${type}' for object of type '${kind}'`);
}

function formatNumber(value: number | bigint, spec: Spec, kind: string): string {
  const { type } = spec;
  if (type === "s") unknown(type, kind);
  const integral = "bcdnoxX".includes(type) && (type !== "n" || kind === "int");
  if (integral && type !== "" && kind === "float") unknown(type, kind);
  const whole = type === "" && spec.precision === undefined && kind === "int";
  const parts = whole || (integral && type !== "") ? ofInteger(value, spec) : ofFloat(Number(value), spec);
  return arranged(parts, spec);
}

const RADIX: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 };

function ofInteger(value: number | bigint, spec: Spec): Parts {
  const { type, alternate } = spec;
  if (spec.precision !== undefined) {
    throw new TensorError("value", "Precision not allowed in integer format specifier");
  }
  if (type === "c")
    return { negative: false, prefix: "", whole: String.fromCodePoint(Number(value)), rest: "" };
  const exact = BigInt(value);
  const size = exact < 0n ? -exact : exact;
  const digits = size.toString(RADIX[type] ?? 10);
  const prefix = alternate && type in RADIX ? `0${type}` : "";
  return {
    negative: exact < 0n,
    prefix,
    whole: type === "X" ? digits.toUpperCase() : digits,
    rest: "",
  };
}

function ofFloat(value: number, spec: Spec): Parts {
  const { type, alternate } = spec;
  const lower = type.toLowerCase();
  const x = type === "%" ? value * 100 : value;
  const size = Math.abs(x);
  const upper = (text: string): string => (type !== lower ? text.toUpperCase() : text);
  const end = type === "%" ? "%" : "";
  let negative = x < 0 || Object.is(x, -0);
  if (!Number.isFinite(x)) {
    return { negative, prefix: "", whole: upper(Number.isNaN(x) ? "nan" : "inf"), rest: end };
  }
  const text = upper(digitsOf(size, lower, spec.precision, alternate));
  if (spec.positiveZero && !/[1-9]/.test(text.replace(/[eE].*/, ""))) negative = false;
  const at = /[.eE]/.exec(text)?.index ?? text.length;
  return { negative, prefix: "", whole: text.slice(0, at), rest: text.slice(at) + end };
}

function digitsOf(x: number, type: string, precision: number | undefined, alternate: boolean): string {
  const point = (text: string): string =>
    alternate && !text.includes(".") ? text.replace(/(e|$)/, ".$1") : text;
  if (type === "f" || type === "%") return point(fixed(x, precision ?? 6));
  if (type === "e") return point(exponential(x, precision ?? 6));
  if (type === "" && precision === undefined) return point(pyFloat(x));
  // g, and what Python does without a type: as many significant digits.
  const digits = Math.max(1, precision ?? 6);
  const scientific = exponential(x, digits - 1);
  const power = Number(scientific.slice(scientific.indexOf("e") + 1));
  const small = type === "" ? digits - 1 : digits;
  const text = power >= -4 && power < small ? fixed(x, digits - 1 - power) : scientific;
  if (alternate) return point(text);
  const [mantissa, exponent] = text.split("e") as [string, string?];
  const bare = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  if (exponent !== undefined) return `${bare}e${exponent}`;
  return type === "" && !bare.includes(".") ? `${bare}.0` : bare;
}

/** The exact value of a double: numerator and denominator. */
function ratio(x: number): [numerator: bigint, denominator: bigint] {
  let [mantissa, power] = [x, 0];
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    power++;
  }
  return [BigInt(mantissa), 1n << BigInt(power)];
}

/** numerator / denominator as an integer, halves to the even one. */
function rounded(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = 2n * (numerator - quotient * denominator);
  const up = twice > denominator || (twice === denominator && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

/** x · 10^places as an integer. */
function scaled(x: number, places: number): bigint {
  const [numerator, denominator] = ratio(x);
  const power = 10n ** BigInt(Math.abs(places));
  return places < 0 ? rounded(numerator, denominator * power) : rounded(numerator * power, denominator);
}

/** With that many digits after the point; JavaScript's toFixed rounds halves up and gives up at 1e21. */
function fixed(x: number, digits: number): string {
  const text = scaled(x, digits)
    .toString()
    .padStart(digits + 1, "0");
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** With one digit before the point and that many after it. */
function exponential(x: number, digits: number): string {
  let power = Number(x.toExponential().split("e")[1]);
  let text = scaled(x, digits - power).toString();
  // The shortest text of x may lie in the next power of ten, and so may its rounded value.
  for (let tries = x === 0 ? 2 : 0; tries < 2 && text.length !== digits + 1; tries++) {
    power += text.length > digits + 1 ? 1 : -1;
    text = scaled(x, digits - power).toString();
  }
  text = text.padStart(digits + 1, "0");
  const sign = power < 0 ? "-" : "+";
  const mantissa = digits === 0 ? text : `${text[0]}.${text.slice(1)}`;
  return `${mantissa}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
}

function arranged({ negative, prefix, whole, rest }: Parts, spec: Spec): string {
  const sign = negative ? "-" : spec.sign === "-" ? "" : spec.sign;
  const front = sign + prefix;
  const numeric = /^[\da-f]+$/i.test(whole) && !/^(inf|nan)$/i.test(whole);
  const size = "boxX".includes(spec.type) && spec.type !== "" ? 4 : 3;
  const group = (digits: string): string =>
    spec.grouping === "" || !numeric ? digits : grouped(digits, spec.grouping, size);
  if (spec.align !== "=") return padded(front + group(whole) + rest, spec);
  const room = spec.width - front.length - rest.length;
  if (spec.fill !== "0" || spec.grouping === "" || !numeric) {
    return front + group(whole).padStart(room, spec.fill) + rest;
  }
  // Zeros are grouped too, and none begins with a separator.
  let digits = whole;
  while (group(digits).length < room) digits = `0${digits}`;
  return front + group(digits) + rest;
}

const grouped = (digits: string, separator: string, size: number): string =>
  digits.replaceAll(new RegExp(`(?<=.)(?=(?:.{${size}})+$)`, "g"), separator);

function padded(text: string, { width, align, fill }: Spec): string {
  const room = width - Array.from(text).length;
  if (room <= 0) return text;
  const before = align === "<" ? 0 : align === "^" ? Math.floor(room / 2) : room;
  return fill.repeat(before) + text + fill.repeat(room - before);
}
