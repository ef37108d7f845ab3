// The line search of L-BFGS (Nocedal and Wright 2006, algorithms 3.5 and 3.6), as PyTorch has it.

/** Loss and directional derivative at a step length. */
export interface Point {
  readonly t: number;
  readonly loss: number;
  readonly gradient: Float32Array;
  /** Derivative of the loss along the direction. */
  readonly slope: number;
}

/** Armijo's and the curvature condition's constants. */
const C1 = 1e-4;
const C2 = 0.9;

/** Where the cubic through two points with their slopes has its minimum, within bounds. */
function interpolate(a: Point, b: Point, low = Math.min(a.t, b.t), high = Math.max(a.t, b.t)): number {
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t);
  const square = d1 ** 2 - a.slope * b.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const d2 = Math.sqrt(square);
  const t =
    a.t <= b.t
      ? b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
      : a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2));
  return Math.min(Math.max(t, low), high);
}

/**
 * A step length that fulfils the strong Wolfe conditions, or the best found.
 * @param evaluate the loss at a step length
 * @param origin the point at step length 0
 * @param largest largest element of the direction: intervals shorter than toleranceChange / largest end the search
 */
export function strongWolfe(
  evaluate: (t: number) => Point,
  origin: Point,
  first: number,
  largest: number,
  toleranceChange: number,
  maxEvaluations: number,
): { point: Point; evaluations: number } {
  const rises = (p: Point): boolean => p.loss > origin.loss + C1 * p.t * origin.slope;
  const flat = (p: Point): boolean => Math.abs(p.slope) <= -C2 * origin.slope;
  let point = evaluate(first);
  let evaluations = 1;
  let iterations = 0;
  let previous = origin;
  // Go outwards until an interval has such a point.
  let bracket: [Point, Point] | undefined;
  while (iterations < maxEvaluations) {
    if (rises(point) || (iterations > 1 && point.loss >= previous.loss)) bracket = [previous, point];
    else if (flat(point)) return { point, evaluations };
    else if (point.slope >= 0) bracket = [previous, point];
    if (bracket !== undefined) break;
    const t = interpolate(previous, point, point.t + 0.01 * (point.t - previous.t), point.t * 10);
    previous = point;
    point = evaluate(t);
    evaluations++;
    iterations++;
  }
  let [low, high] = ordered(bracket ?? [origin, point]);
  // Narrow the interval.
  let insufficient = false;
  while (iterations < maxEvaluations) {
    if (Math.abs(high.t - low.t) * largest < toleranceChange) break;
    const [left, right] = [Math.min(low.t, high.t), Math.max(low.t, high.t)];
    let t = interpolate(low, high);
    const margin = 0.1 * (right - left);
    // Close to the border twice, or beyond it: a tenth of the interval away from it.
    if (Math.min(right - t, t - left) < margin) {
      if (insufficient || t >= right || t <= left) {
        t = Math.abs(t - right) < Math.abs(t - left) ? right - margin : left + margin;
        insufficient = false;
      } else {
        insufficient = true;
      }
    } else {
      insufficient = false;
    }
    point = evaluate(t);
    evaluations++;
    iterations++;
    if (rises(point) || point.loss >= low.loss) {
      [low, high] = ordered([low, point]);
      continue;
    }
    if (flat(point)) return { point, evaluations };
    if (point.slope * (high.t - low.t) >= 0) high = low;
    low = point;
  }
  return { point: low, evaluations };
}

const ordered = ([a, b]: readonly [Point, Point]): [low: Point, high: Point] =>
  a.loss <= b.loss ? [a, b] : [b, a];
