// Decompositions of matrices in double precision, row-major: what tfjs has no kernels of.

export type Matrix = Float64Array;

interface Lu {
  readonly lu: Matrix;
  /** The row that each was exchanged with. */
  readonly exchanged: readonly number[];
}

/** PA = LU of A [m, n] with partial pivoting, or without; a pivot of 0 divides nothing. */
export function factor(a: Matrix, m: number, n = m, pivots = true): Lu {
  const lu = a.slice();
  const exchanged: number[] = [];
  for (let c = 0; c < Math.min(m, n); c++) {
    let best = c;
    if (pivots)
      for (let r = c + 1; r < m; r++) if (Math.abs(lu[r * n + c]!) > Math.abs(lu[best * n + c]!)) best = r;
    exchanged.push(best);
    if (best !== c)
      for (let k = 0; k < n; k++) [lu[c * n + k], lu[best * n + k]] = [lu[best * n + k]!, lu[c * n + k]!];
    const pivot = lu[c * n + c]!;
    const divisor = pivot === 0 ? 1 : pivot;
    for (let r = c + 1; r < m; r++) {
      const f = (lu[r * n + c]! /= divisor);
      for (let k = c + 1; k < n; k++) lu[r * n + k]! -= f * lu[c * n + k]!;
    }
  }
  return { lu, exchanged };
}

/** The order in which exchanges leave rows. */
function orderOf(exchanged: readonly number[]): number[] {
  const order = [...exchanged.keys()];
  exchanged.forEach((other, row) => ([order[row], order[other]] = [order[other]!, order[row]!]));
  return order;
}

/** Where the diagonal of U in PA = LU is zero or not a number, from 1: undefined for matrices that have an inverse. */
export function zeroPivot(a: Matrix, n: number): number | undefined {
  const { lu } = factor(a, n);
  for (let i = 0; i < n; i++) if (!(Math.abs(lu[i * n + i]!) > 0)) return i + 1;
  return undefined;
}

/** X of AX = B for A [n, n], which has an inverse, and B [n, m]. */
export function solve(a: Matrix, b: Matrix, n: number, m: number): Matrix {
  const { lu, exchanged } = factor(a, n);
  const rows = orderOf(exchanged);
  const x = new Float64Array(n * m);
  for (let c = 0; c < m; c++) {
    for (let r = 0; r < n; r++) {
      let sum = b[rows[r]! * m + c]!;
      for (let k = 0; k < r; k++) sum -= lu[r * n + k]! * x[k * m + c]!;
      x[r * m + c] = sum;
    }
    for (let r = n - 1; r >= 0; r--) {
      let sum = x[r * m + c]!;
      for (let k = r + 1; k < n; k++) sum -= lu[r * n + k]! * x[k * m + c]!;
      x[r * m + c] = sum / lu[r * n + r]!;
    }
  }
  return x;
}

/** X of AX = B for a triangular A [n, n] and B [n, m]. */
export function substitute(a: Matrix, b: Matrix, n: number, m: number, lower: boolean): Matrix {
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    const r = lower ? i : n - 1 - i;
    for (let c = 0; c < m; c++) {
      let sum = x[r * m + c]!;
      for (let k = lower ? 0 : r + 1; k < (lower ? r : n); k++) sum -= a[r * n + k]! * x[k * m + c]!;
      x[r * m + c] = sum / a[r * n + r]!;
    }
  }
  return x;
}

/** Logarithm of the size of the determinant, and its sign. */
export function logDeterminant(a: Matrix, n: number): [log: number, sign: number] {
  const { lu, exchanged } = factor(a, n);
  let [log, s] = [0, (-1) ** exchanged.filter((other, row) => other !== row).length];
  for (let i = 0; i < n; i++) {
    const pivot = lu[i * n + i]!;
    log += Math.log(Math.abs(pivot));
    s *= Math.sign(pivot);
  }
  return [log, s];
}

/** L of A = LLᵀ. Where A is not positive definite, `failed` is the order of its first minor that isn't. */
export function cholesky(a: Matrix, n: number): { readonly l: Matrix; readonly failed: number | undefined } {
  const l = new Float64Array(n * n);
  for (let r = 0; r < n; r++)
    for (let c = 0; c <= r; c++) {
      let sum = a[r * n + c]!;
      for (let k = 0; k < c; k++) sum -= l[r * n + k]! * l[c * n + k]!;
      if (r === c && !(sum > 0)) return { l, failed: r + 1 };
      l[r * n + c] = r === c ? Math.sqrt(sum) : sum / l[c * n + c]!;
    }
  return { l, failed: undefined };
}

/** Q [m, k] and R [k, n], k = min(m, n), by Householder's reflections with LAPACK's signs. */
export function qr(a: Matrix, m: number, n: number): [q: Matrix, r: Matrix] {
  const k = Math.min(m, n);
  const r = a.slice();
  const reflections: { readonly v: Matrix; readonly tau: number }[] = [];
  const reflect = (x: Matrix, width: number, { v, tau }: { v: Matrix; tau: number }, from: number): void => {
    for (let c = 0; c < width; c++) {
      let sum = 0;
      for (let i = from; i < m; i++) sum += v[i]! * x[i * width + c]!;
      for (let i = from; i < m; i++) x[i * width + c]! -= tau * v[i]! * sum;
    }
  };
  for (let c = 0; c < k; c++) {
    let tail = 0;
    for (let i = c + 1; i < m; i++) tail += r[i * n + c]! ** 2;
    const head = r[c * n + c]!;
    const v = new Float64Array(m);
    v[c] = 1;
    let tau = 0;
    if (tail > 0) {
      const beta = -Math.sqrt(head * head + tail) * (head >= 0 ? 1 : -1);
      tau = (beta - head) / beta;
      for (let i = c + 1; i < m; i++) v[i] = r[i * n + c]! / (head - beta);
    }
    reflections.push({ v, tau });
    reflect(r, n, { v, tau }, c);
  }
  const q = new Float64Array(m * k);
  for (let i = 0; i < k; i++) q[i * k + i] = 1;
  for (let c = k - 1; c >= 0; c--) reflect(q, k, reflections[c]!, c);
  for (let i = 0; i < k; i++) for (let c = 0; c < i; c++) r[i * n + c] = 0;
  return [q, r.slice(0, k * n)];
}

/** Eigenvalues in ascending order and eigenvectors as columns, of a symmetric matrix: Jacobi's rotations. */
export function eigh(a: Matrix, n: number): [values: Matrix, vectors: Matrix] {
  const s = new Float64Array(n * n);
  // The lower triangle counts, as in LAPACK.
  for (let r = 0; r < n; r++)
    for (let c = 0; c < n; c++) s[r * n + c] = a[Math.max(r, c) * n + Math.min(r, c)]!;
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  for (let sweep = 0; sweep < 60; sweep++) {
    let [off, all] = [0, 0];
    for (let i = 0; i < n * n; i++) {
      all += s[i]! ** 2;
      if (i % (n + 1) !== 0) off += s[i]! ** 2;
    }
    if (off <= 1e-30 * all) break;
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        const apq = s[p * n + q]!;
        if (apq === 0) continue;
        const theta = (s[q * n + q]! - s[p * n + p]!) / (2 * apq);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        rotate(s, v, n, p, q, c, t * c);
      }
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => s[i * n + i]! - s[j * n + j]!);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => {
    for (let r = 0; r < n; r++) vectors[r * n + to] = v[r * n + from]!;
  });
  return [Float64Array.from(order, (i) => s[i * n + i]!), vectors];
}

function rotate(s: Matrix, v: Matrix, n: number, p: number, q: number, c: number, t: number): void {
  const turn = (x: Matrix, i: number, j: number): void => {
    const [a, b] = [x[i]!, x[j]!];
    x[i] = c * a - t * b;
    x[j] = t * a + c * b;
  };
  for (let k = 0; k < n; k++) turn(s, k * n + p, k * n + q);
  for (let k = 0; k < n; k++) turn(s, p * n + k, q * n + k);
  for (let k = 0; k < n; k++) turn(v, k * n + p, k * n + q);
}

/** Singular values in descending order, and their vectors as columns: U [m, k] and V [n, k], by one-sided rotations. */
export function svd(a: Matrix, m: number, n: number): [s: Matrix, u: Matrix, v: Matrix] {
  if (m < n) {
    const turned = Float64Array.from(a, (_, i) => a[(i % m) * n + Math.floor(i / m)]!);
    const [s, u, v] = svd(turned, n, m);
    return [s, v, u];
  }
  const w = a.slice();
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  const product = (p: number, q: number): number => {
    let sum = 0;
    for (let r = 0; r < m; r++) sum += w[r * n + p]! * w[r * n + q]!;
    return sum;
  };
  for (let sweep = 0; sweep < 60; sweep++) {
    let rotated = false;
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        const [alpha, beta, gamma] = [product(p, p), product(q, q), product(p, q)];
        if (Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta)) continue;
        rotated = true;
        const zeta = (beta - alpha) / (2 * gamma);
        const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(zeta, 1));
        const c = 1 / Math.hypot(t, 1);
        for (const [x, rows] of [
          [w, m],
          [v, n],
        ] as const) {
          for (let r = 0; r < rows; r++) {
            const [y, z] = [x[r * n + p]!, x[r * n + q]!];
            x[r * n + p] = c * (y - t * z);
            x[r * n + q] = c * (t * y + z);
          }
        }
      }
    if (!rotated) break;
  }
  const lengths = Array.from({ length: n }, (_, i) => Math.sqrt(product(i, i)));
  const order = lengths.map((_, i) => i).sort((i, j) => lengths[j]! - lengths[i]!);
  const column = (x: Matrix, rows: number, scale: (from: number) => number): Matrix =>
    Float64Array.from({ length: rows * n }, (_, i) => {
      const from = order[i % n]!;
      return x[Math.floor(i / n) * n + from]! * scale(from);
    });
  const u = column(w, m, (from) => (lengths[from] === 0 ? 0 : 1 / lengths[from]!));
  return [Float64Array.from(order, (i) => lengths[i]!), u, column(v, n, () => 1)];
}
