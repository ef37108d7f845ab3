// Places of a grid between the pixels of images and volumes: which pixels count there, and how much.
import type { Meta } from "../../core/meta.ts";
import { numel, range, type Shape } from "../../core/shape.ts";
import { functionsOf, type Functions, type Writer } from "../formulas.ts";
import { cast, reshape } from "../movement/movement.ts";
import { slice } from "../movement/slicing.ts";

export type GridMode = "bilinear" | "nearest" | "bicubic";
export type GridPadding = "zeros" | "border" | "reflection";

export interface GridAttributes {
  readonly mode: GridMode;
  readonly paddingMode: GridPadding;
  readonly alignCorners: boolean;
}

/** A pixel along one dimension, its weight, which is 1 if undefined, and the derivative of that by the place. */
interface Tap<V> {
  readonly at: V;
  readonly weight?: V;
  readonly slope?: V;
}

/** Pixels that count along one dimension, and the derivative of the place by the grid's number. */
interface Axis<V> {
  readonly taps: readonly Tap<V>[];
  readonly slope: V;
}

/** A pixel as a row of all of them, and for each dimension what it counts there; `inside` tells which count. */
interface Pixel<V> {
  readonly row: V;
  readonly inside: V;
  readonly taps: readonly Tap<V>[];
}

/**
 * Converts a number from −1 to 1 into a pixel's, rounded as in PyTorch: one unit less, and a place on a pixel falls short
 * of it and has another gradient. PyTorch's kernel of images fuses multiplication and addition, that of volumes doesn't.
 */
function pixelOf<V>(f: Functions<V>, x: V, size: number, alignCorners: boolean, volume: boolean): V {
  const from = f.add(x, f.number(1));
  if (alignCorners) return f.mul(from, f.number((size - 1) / 2));
  const pixel = f.sub(f.mul(from, f.number(size / 2)), f.number(0.5));
  return volume ? pixel : f.add(pixel, lostProduct(f, from, size / 2));
}

/** The rounding error of x · factor, for a factor of up to 13 bits: Dekker's product of halves of x. Has no gradient. */
function lostProduct<V>(f: Functions<V>, x: V, factor: number): V {
  const shifted = f.mul(x, f.number(2 ** 13 + 1));
  const high = f.sub(shifted, f.sub(shifted, x));
  const by = f.number(factor);
  return f.add(f.sub(f.mul(high, by), f.mul(x, by)), f.mul(f.sub(x, high), by));
}

/** A place moved inside, and the derivative of where it is by where it was. */
interface Moved<V> {
  readonly place: V;
  readonly slope: V;
}

/** Moves places outside the input inside, unless outside values are zeros. */
function inside<V>(
  f: Functions<V>,
  x: V,
  size: number,
  { paddingMode, alignCorners }: GridAttributes,
): Moved<V> {
  const one = f.number(1);
  if (paddingMode === "zeros") return { place: x, slope: one };
  if (paddingMode === "border") return clipped(f, { place: x, slope: one }, size - 1);
  const [low, span] = alignCorners ? [0, size - 1] : [-0.5, size];
  const none = f.number(0);
  if (span === 0) return { place: f.mul(x, none), slope: none };
  const start = f.number(low);
  const below = f.less(x, start);
  const distance = f.where(below, f.sub(start, x), f.sub(x, start));
  const turn = f.where(below, f.number(-1), one);
  const rest = f.remainder(distance, f.number(2 * span));
  const back = f.less(f.number(span), rest);
  const place = f.add(f.where(back, f.sub(f.number(2 * span), rest), rest), start);
  return clipped(f, { place, slope: f.where(back, f.neg(turn), turn) }, size - 1);
}

/** Clamps to 0 and `last`. As in PyTorch, a place on the border itself has no gradient. */
function clipped<V>(f: Functions<V>, { place, slope }: Moved<V>, last: number): Moved<V> {
  const [least, most] = [f.number(0), f.number(last)];
  const between = f.and(f.less(least, place), f.less(place, most));
  return {
    place: f.where(between, place, f.where(f.less(least, place), most, least)),
    slope: f.where(between, slope, least),
  };
}

function linear<V>(f: Functions<V>, x: V): Tap<V>[] {
  const before = f.floor(x);
  const part = f.sub(x, before);
  const one = f.number(1);
  return [
    { at: before, weight: f.sub(one, part), slope: f.number(-1) },
    { at: f.add(before, one), weight: part, slope: one },
  ];
}

/** Keys' cubic convolution with a = −3/4. */
function cubic<V>(f: Functions<V>, x: V): Required<Tap<V>>[] {
  const a = -0.75;
  const { add, sub, mul, number } = f;
  const before = f.floor(x);
  const part = sub(x, before);
  const by = (t: V, factor: number): V => mul(t, number(factor));
  const near = (t: V): V => add(mul(mul(sub(by(t, a + 2), number(a + 3)), t), t), number(1));
  const far = (t: V): V =>
    sub(mul(add(mul(sub(by(t, a), number(5 * a)), t), number(8 * a)), t), number(4 * a));
  const nearSlope = (t: V): V => mul(sub(by(t, 3 * (a + 2)), number(2 * (a + 3))), t);
  const farSlope = (t: V): V => add(mul(sub(by(t, 3 * a), number(10 * a)), t), number(8 * a));
  const one = number(1);
  const [first, third, fourth] = [add(part, one), sub(one, part), sub(number(2), part)];
  const weights: [weight: V, slope: V][] = [
    [far(first), farSlope(first)],
    [near(part), nearSlope(part)],
    [near(third), f.neg(nearSlope(third))],
    [far(fourth), f.neg(farSlope(fourth))],
  ];
  return weights.map(([weight, slope], i) => ({ at: add(before, number(i - 1)), weight, slope }));
}

function axisOf<V>(f: Functions<V>, x: V, size: number, dims: number, attributes: GridAttributes): Axis<V> {
  const { mode, alignCorners } = attributes;
  const scale = f.number((alignCorners ? size - 1 : size) / 2);
  const pixel = pixelOf(f, x, size, alignCorners, dims === 3);
  if (mode === "bicubic") {
    const taps = cubic(f, pixel).map((tap) => ({ ...tap, at: inside(f, tap.at, size, attributes).place }));
    return { taps, slope: scale };
  }
  const { place, slope } = inside(f, pixel, size, attributes);
  return {
    taps: mode === "nearest" ? [{ at: f.round(place) }] : linear(f, place),
    slope: f.mul(slope, scale),
  };
}

/** Everything in the formulas that depends on the grid: places in all images, one after the other. */
export class Places<V extends Meta> {
  readonly axes: readonly Axis<V>[];
  readonly #w: Writer<V>;
  readonly #f: Functions<V>;
  readonly #grid: Shape;
  readonly #sizes: Shape;

  constructor(w: Writer<V>, grid: V, sizes: Shape, attributes: GridAttributes) {
    this.#w = w;
    this.#f = functionsOf(w);
    this.#grid = grid.shape;
    this.#sizes = sizes;
    const dims = sizes.length;
    const rows = w.make(reshape, [grid], { shape: [this.count, dims] });
    // The grid has x first, the input's dimensions end with it.
    this.axes = sizes.map((size, d) => {
      const column = w.make(slice, [rows], {
        begin: [0, dims - 1 - d],
        end: [this.count, dims - d],
        step: [1, 1],
      });
      return axisOf(this.#f, column, size, dims, attributes);
    });
  }

  get count(): number {
    return numel(this.#grid.slice(0, -1));
  }

  /** All combinations of pixels, one along each dimension, as columns. */
  get pixels(): Pixel<V>[] {
    let chosen: readonly Tap<V>[][] = [[]];
    for (const { taps } of this.axes)
      chosen = chosen.flatMap((before) => taps.map((tap) => [...before, tap]));
    return chosen.map((taps) => this.#pixel(taps));
  }

  #pixel(taps: readonly Tap<V>[]): Pixel<V> {
    const f = this.#f;
    const each = this.count / this.#grid[0]!;
    const images = range(this.count).map((i) => Math.floor(i / each) * numel(this.#sizes));
    let row = this.#w.constant(images, [this.count, 1], "int64");
    let within: V | undefined;
    taps.forEach(({ at }, d) => {
      const [least, most] = [f.number(0), f.number(this.#sizes[d]! - 1)];
      const own = f.and(f.atMost(least, at), f.atMost(at, most));
      const whole = this.#w.make(cast, [f.where(own, at, least)], { dtype: "int64" });
      const step = this.#w.constant([numel(this.#sizes.slice(d + 1))], [], "int64");
      row = f.add(row, f.mul(whole, step));
      within = within === undefined ? own : f.and(within, own);
    });
    return { row: this.#w.make(reshape, [row], { shape: [this.count] }), inside: within!, taps };
  }

  /** The product of a pixel's weights, but for one dimension, of which the slope counts; undefined for 1. */
  weight({ taps }: Pixel<V>, except?: number): V | undefined {
    const factors = taps.map(({ weight, slope }, d) => (d === except ? slope : weight));
    return factors.reduce((product, x) =>
      product === undefined || x === undefined ? (product ?? x) : this.#f.mul(product, x),
    );
  }
}
