// Short-time Fourier transforms: frames of a signal, times a window, are transformed all at once.
import { TensorError } from "../core/errors.ts";
import { filled, SCALAR_TYPE } from "../core/dtype.ts";
import { formatShape, numel, type Shape } from "../core/shape.ts";
import { fromHost, type Tensor } from "../core/tensor.ts";
import { ComplexTensor } from "../complex/complexTensor.ts";
import { called, viewAsReal } from "../complex/functions.ts";
import { complexOf } from "../complex/parts.ts";
import { ones } from "../functions/creation/creation.ts";
import { div, mul } from "../functions/pointwise/arithmetic.ts";
import { square } from "../functions/pointwise/elementwise.ts";
import { composed, named } from "../functions/pointwise/operands.ts";
import { indexAdd, indexSelect } from "../ops/movement/indexing.ts";
import { pad, permute, reshape } from "../ops/movement/movement.ts";
import { sliceAlong } from "../ops/movement/slicing.ts";
import { apply } from "../recording/apply.ts";
import { dataAtHand } from "../recording/onHost.ts";
import { complexToComplex, halfToReal, realToHalf, type Parts } from "./dft.ts";
import { partsFrom, resized, scaleOf } from "./dims.ts";
import { half } from "./tables.ts";

/** How a signal is padded: with zeros, mirrored at its ends, with its last values, or from its other end. */
export type PadMode = "constant" | "reflect" | "replicate" | "circular";

type Shown = string | number | boolean | null | undefined;

/** PyTorch's text of the arguments, with which its messages begin. */
function text(name: string, input: string, given: Readonly<Record<string, Shown>>): string {
  const shown = (x: Shown): string => (x == null ? "None" : String(typeof x === "boolean" ? Number(x) : x));
  const rest = Object.entries(given).map(([key, value]) => `, ${key}=${shown(value)}`);
  return `${name}(${input}${rest.join("")}) `;
}

const windowText = (window: Tensor | undefined): string | undefined =>
  window && `torch.${SCALAR_TYPE[window.dtype]}Tensor{${formatShape(window.shape)}}`;

/** The window as wide as a frame, zeros on both sides. */
function framed(window: Tensor | undefined, width: number, n: number): Tensor | undefined {
  if (width === n) return window;
  const left = Math.floor((n - width) / 2);
  return apply(pad, [window ?? ones([width])], { before: [left], after: [n - width - left], value: 0 });
}

/** Where a place beyond the ends of a signal is read. */
function inside(at: number, length: number, mode: PadMode): number {
  if (mode === "circular") return (at + length) % length;
  const last = length - 1;
  if (mode === "replicate") return Math.min(Math.max(at, 0), last);
  return at < 0 ? -at : at > last ? 2 * last - at : at;
}

/** The places of all frames one after another. */
function framePlaces(count: number, hop: number, n: number): Int32Array {
  return filled(new Int32Array(count * n), (i) => Math.floor(i / n) * hop + (i % n));
}

/**
 * The short-time Fourier transform: the transforms of overlapping frames of a signal.
 * @param input [L] or [B, L], real or complex
 * @param nFft length of a frame and its transform
 * @param hopLength distance between frames; default ⌊nFft / 4⌋
 * @param winLength length of the window, with zeros on both sides up to nFft; default nFft
 * @param window [winLength], real; default ones
 * @param center whether the middle of frame t is at t · hopLength, the signal being padded; default true
 * @param padMode how it is padded: "reflect" (default), "constant" (zeros), "replicate" or "circular"
 * @param normalized whether transforms are divided by √nFft; default false
 * @param onesided whether the half that mirrors the other is left out; default true for real input
 * @param returnComplex whether the result is complex, or pairs of real numbers; must be given for real input
 * @returns [B, N, T] of T frames and N = nFft / 2 + 1 frequencies (nFft if not onesided), complex or with a last dimension 2
 * @throws TensorError "stft requires the return_complex parameter be given for real inputs, …", "… expected hop_length > 0, …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.stft.html
 */
export function stft(
  input: Tensor,
  nFft: number,
  hopLength?: number | null,
  winLength?: number | null,
  window?: Tensor | null,
  center = true,
  padMode: PadMode = "reflect",
  normalized = false,
  onesided?: boolean | null,
  returnComplex?: boolean | null,
): Tensor {
  const hop = hopLength ?? Math.floor(nFft / 4);
  const width = winLength ?? nFft;
  const isComplex = input instanceof ComplexTensor;
  const margin = center ? Math.floor(nFft / 2) : 0;
  const length = input.shape.at(-1) ?? 0;
  const padded = length + 2 * margin;
  if (isComplex && onesided === true) {
    throw new TensorError("value", "Cannot have onesided output if window or input is complex");
  }
  if (center && padMode !== "constant" && margin >= length) {
    throw new TensorError(
      "shape",
      `Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (${margin}, ${margin}) at dimension 2 of input ${formatShape([...Array.from({ length: 3 - input.ndim }, () => 1), ...input.shape])}`,
    );
  }
  if (center && !["constant", "reflect", "replicate", "circular"].includes(padMode)) {
    throw new TensorError("value", `Unrecognised padding mode ${padMode}`);
  }
  if (!isComplex && returnComplex == null) {
    throw new TensorError(
      "value",
      "stft requires the return_complex parameter be given for real inputs, and will further require that return_complex=True in a future PyTorch release.",
      "pass { returnComplex: true }",
    );
  }
  const shape = [...input.shape.slice(0, -1), padded];
  const refuse = (reason: string): never => {
    const start = text("stft", `torch.${SCALAR_TYPE[input.dtype]}Tensor${formatShape(shape)}`, {
      n_fft: nFft,
      hop_length: hop,
      win_length: width,
      window: windowText(window ?? undefined),
      normalized,
      onesided,
      return_complex: returnComplex,
      align_to_window: undefined,
    });
    throw new TensorError("value", `${start}: ${reason}`);
  };
  if (input.dtype !== "float32" && !isComplex)
    refuse("expected a tensor of floating point or complex values");
  if (input.ndim !== 1 && input.ndim !== 2) refuse("expected a 1D or 2D tensor");
  if (nFft <= 0 || nFft > padded) refuse(`expected 0 < n_fft < ${padded}, but got n_fft=${nFft}`);
  if (hop <= 0) refuse(`expected hop_length > 0, but got hop_length=${hop}`);
  if (width <= 0 || width > nFft) refuse(`expected 0 < win_length <= n_fft, but got win_length=${width}`);
  checkWindow(window, width, refuse);

  const count = 1 + Math.floor((padded - nFft) / hop);
  const batch = input.ndim === 2 ? input.shape[0]! : 1;
  const scale = normalized ? scaleOf("ortho", nFft, true) : 1;
  const z = complexOf(() => {
    const factor = framed(window ?? undefined, width, nFft);
    const frames = (signal: Tensor): Tensor => {
      const flat = apply(reshape, [signal], { shape: [batch, length] });
      const all = framesOf(flat, margin, padMode, framePlaces(count, hop, nFft));
      const rows = apply(reshape, [all], { shape: [batch * count, nFft] });
      const seen = factor === undefined ? rows : mul(rows, factor);
      return apply(reshape, [seen], { shape: [batch * count, nFft, 1] });
    };
    const given = partsFrom(input);
    const x: Parts = { re: frames(given.re), im: given.im && frames(given.im) };
    const spectrum =
      x.im === undefined && onesided !== false ? realToHalf(x.re, -1, scale) : complexToComplex(x, -1, scale);
    const back = (part: Tensor): Tensor => {
      const split = apply(reshape, [part], { shape: [batch, count, part.shape[1]!] });
      const turned = apply(permute, [split], { order: [0, 2, 1] });
      return input.ndim === 2 ? turned : apply(reshape, [turned], { shape: turned.shape.slice(1) });
    };
    return [back(spectrum.re), back(spectrum.im)];
  });
  called("TransposeBackward0", z);
  return returnComplex === false ? viewAsReal(z) : z;
}

function checkWindow(
  window: Tensor | null | undefined,
  width: number,
  refuse: (reason: string) => never,
  invalid?: string,
): void {
  if (window == null) return;
  if (window.ndim !== 1 || window.shape[0] !== width) {
    refuse(
      invalid ??
        `expected a 1D window tensor of size equal to win_length=${width}, but got window with size ${formatShape(window.shape)}`,
    );
  }
  if (window.dtype === "complex64") {
    throw new TensorError("unsupported", "complex windows are not supported", "multiply the frames yourself");
  }
}

/** The elements at places of a signal that is padded by a margin: read where they are inside. */
function framesOf(signal: Tensor, margin: number, mode: PadMode, places: Int32Array): Tensor {
  const length = signal.shape[1]!;
  if (mode === "constant" && margin > 0) {
    const wide = apply(pad, [signal], { before: [0, margin], after: [0, margin], value: 0 });
    return framesOf(wide, 0, mode, places);
  }
  const read = margin === 0 ? places : places.map((at) => inside(at - margin, length, mode));
  return apply(indexSelect, [signal, fromHost(read, [read.length], "int64")], { dim: 1 });
}

/**
 * The inverse of {@link stft}: frames are transformed back, multiplied by the window and added up where they overlap, and
 * divided by the sum of the squares of the windows there.
 * @param input [N, T] or [B, N, T], complex
 * @param nFft length of a frame and its transform
 * @param hopLength distance between frames; default ⌊nFft / 4⌋
 * @param winLength length of the window, with zeros on both sides up to nFft; default nFft
 * @param window [winLength], real; default ones
 * @param center whether the signal was padded so that the middle of frame t is at t · hopLength; default true
 * @param normalized whether transforms were divided by √nFft; default false
 * @param onesided whether input has nFft / 2 + 1 frequencies; default true, unless N is nFft
 * @param length of the result; by default all that the frames give
 * @param returnComplex whether the result is complex; default false
 * @returns [L] or [B, L]
 * @throws TensorError "istft requires a complex-valued input tensor matching the output from stft with return_complex=True.", "… window overlap add min: 1"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.istft.html
 */
export function istft(
  input: Tensor,
  nFft: number,
  hopLength?: number | null,
  winLength?: number | null,
  window?: Tensor | null,
  center = true,
  normalized = false,
  onesided?: boolean | null,
  length?: number | null,
  returnComplex = false,
): Tensor {
  const hop = hopLength ?? Math.floor(nFft / 4);
  const width = winLength ?? nFft;
  if (!(input instanceof ComplexTensor)) {
    throw new TensorError(
      "dtype",
      "istft requires a complex-valued input tensor matching the output from stft with return_complex=True.",
    );
  }
  const start = text("istft", `CPUComplexFloatType${formatShape(input.shape)}`, {
    n_fft: nFft,
    hop_length: hop,
    win_length: width,
    window: windowText(window ?? undefined),
    center,
    normalized,
    onesided,
    length,
    return_complex: returnComplex,
  });
  const refuse = (reason: string): never => {
    throw new TensorError("value", start + reason);
  };
  if (numel(input.shape) === 0) refuse(": input tensor cannot be empty.");
  if (input.ndim !== 2 && input.ndim !== 3) {
    refuse(`: expected a tensor with 2 or 3 dimensions, but got ${input.ndim}`);
  }
  const [bins, count] = input.shape.slice(-2) as [number, number];
  const oneSided = onesided ?? bins !== nFft;
  if (oneSided && bins !== half(nFft)) {
    refuse(
      `: expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 when onesided=True, but got ${bins}`,
    );
  }
  if (!oneSided && bins !== nFft) {
    refuse(
      `: expected the frequency dimension (3rd to the last) of the input tensor to match n_fft when onesided=False, but got ${bins}`,
    );
  }
  if (hop <= 0 || hop > width) refuse(": expected 0 < hop_length <= win_length");
  if (width <= 0 || width > nFft) refuse(": expected 0 < win_length <= n_fft");
  checkWindow(
    window,
    width,
    refuse,
    ": Invalid window shape. window has to be 1D and length of `win_length`",
  );
  if (returnComplex && oneSided) {
    throw new TensorError("value", "Cannot have onesided output if window or input is complex");
  }

  const batch = input.ndim === 3 ? input.shape[0]! : 1;
  const whole = nFft + hop * (count - 1);
  const from = center ? Math.floor(nFft / 2) : 0;
  const to = length != null ? from + length : center ? whole - from : whole;
  const scale = normalized ? scaleOf("ortho", nFft, false) : 1 / nFft;
  if (vanishes(window ?? undefined, { nFft, width, hop, count, from, to })) {
    refuse("window overlap add min: 1");
  }
  const signal = (): Parts => {
    const factor = framed(window ?? undefined, width, nFft);
    const frames = (part: Tensor): Tensor => {
      const split = apply(reshape, [part], { shape: [batch, bins, count] });
      const turned = apply(permute, [split], { order: [0, 2, 1] });
      return apply(reshape, [turned], { shape: [batch * count, bins, 1] });
    };
    const spectrum = { re: frames(input.re), im: frames(input.im) };
    // Of a whole spectrum, PyTorch reads the first half too where the signal is real.
    const back: Parts = returnComplex
      ? complexToComplex(spectrum, 1, scale)
      : { re: halfToReal(resized(spectrum, 1, half(nFft)), nFft, 1, scale), im: undefined };
    const places = fromHost(framePlaces(count, hop, nFft), [count * nFft], "int64");
    /** Rows of frames, [rows, count · nFft], added up where they overlap. */
    const overlapped = (rows: Tensor): Tensor => {
      const sum = apply(indexAdd, [rows, places], { dim: 1, length: whole });
      return sliceAlong(sum, 1, from, Math.min(to, whole));
    };
    const squares = factor === undefined ? ones([nFft]) : square(factor);
    const all = mul(squares, ones([count, 1]));
    const weights = overlapped(apply(reshape, [all], { shape: [1, count * nFft] }));
    const added = (part: Tensor): Tensor => {
      const rows = apply(reshape, [part], { shape: [batch * count, nFft] });
      const seen = factor === undefined ? rows : mul(rows, factor);
      const sum = div(overlapped(apply(reshape, [seen], { shape: [batch, count * nFft] })), weights);
      const full = to > whole ? apply(pad, [sum], { before: [0, 0], after: [0, to - whole], value: 0 }) : sum;
      const shape: Shape = input.ndim === 3 ? full.shape : full.shape.slice(1);
      return apply(reshape, [full], { shape });
    };
    return { re: added(back.re), im: returnComplex ? back.im && added(back.im) : undefined };
  };
  if (returnComplex) {
    return complexOf(() => {
      const { re, im } = signal();
      return [re, im!];
    });
  }
  return composed(() => named(signal().re, "SqueezeBackward1"));
}

interface Overlap {
  readonly nFft: number;
  readonly width: number;
  readonly hop: number;
  readonly count: number;
  readonly from: number;
  readonly to: number;
}

/** Whether the squared windows add up to 0 somewhere, where they are known without computing. */
function vanishes(window: Tensor | undefined, { nFft, width, hop, count, from, to }: Overlap): boolean {
  const data = window === undefined ? new Float32Array(width).fill(1) : dataAtHand(window.value);
  if (data === undefined) return false;
  const whole = nFft + hop * (count - 1);
  const sums = new Float64Array(whole);
  const left = Math.floor((nFft - width) / 2);
  for (let frame = 0; frame < count; frame++) {
    for (let i = 0; i < width; i++) sums[frame * hop + left + i]! += data[i]! ** 2;
  }
  return sums.subarray(from, to).some((sum) => sum < 1e-11);
}
