// Derivatives of Gamma and Dirichlet samples by their parameters, -(∂cdf/∂α) / pdf: the approximations of PyTorch's
// _standard_gamma_grad and _dirichlet_grad (aten/src/ATen/native/Distributions.h), by region of the parameters.
import { digamma } from "../ops/elementwise/specialValues.ts";

const { abs, exp, fround, log, sqrt } = Math;

/** Coefficients of a polynomial, the constant first. */
type Polynomial = readonly number[];

const at = (p: Polynomial, x: number): number => p.reduceRight((sum, c) => sum * x + c, 0);
const finite = (x: number): number => (Number.isNaN(x) ? 0 : x);

// Numerator and denominator in powers of log α; their coefficients are polynomials of log(x / α).
const GAMMA_NUMERATOR: readonly Polynomial[] = [
  [0.16009398, 0.53487893, 0.040121004],
  [-0.094634809, 0.1298071, -0.0065914022],
  [0.025146376, 0.065735949, -0.0026286047],
  [-0.0030648343, -0.0015649758, -0.0013441777],
];
const GAMMA_DENOMINATOR: readonly Polynomial[] = [
  [1, 0.16639465, 0.017050642],
  [0.32668115, 0.020070113, -0.0021309326],
  [0.10406089, -0.0035938915, 0.00085092367],
  [0.0014179084, -0.00058392623, -1.5247877e-7],
];

/** ∂x/∂α of a value x of the standard Gamma distribution of shape α. */
export function standardGammaGrad(alpha: number, x: number): number {
  if (x < fround(0.8)) return gammaSeries(alpha, x);
  if (alpha > 8) return gammaSaddlePoint(alpha, x);
  const u = log(x / alpha);
  const inU = (rows: readonly Polynomial[]): Polynomial => rows.map((row) => at(row, u));
  return exp(at(inU(GAMMA_NUMERATOR), log(alpha)) / at(inU(GAMMA_DENOMINATOR), log(alpha)));
}

/** Taylor's series of the distribution function, for small x. */
function gammaSeries(alpha: number, x: number): number {
  let [term, first, second] = [1, 1 / alpha, 1 / (alpha * alpha)];
  for (let i = 1; i <= 5; i++) {
    term *= -x / i;
    first += term / (alpha + i);
    second += term / (alpha + i) ** 2;
  }
  const power = x ** alpha;
  const byAlpha = (log(x) - digamma(alpha)) * power * first - power * second;
  return finite(-byAlpha / (x ** (alpha - 1) * exp(-x)));
}

/** Rice's saddle point expansion, for large α. */
function gammaSaddlePoint(alpha: number, x: number): number {
  if (fround(0.9) * alpha <= x && x <= fround(1.1) * alpha) {
    const scale = 1 + 24 * alpha * (1 + 12 * alpha);
    const sum = 1440 * alpha ** 2 + 6 * x * (53 - 120 * x) - (65 * x * x) / alpha + alpha * (107 + 3600 * x);
    return (scale * sum) / (1244160 * alpha ** 4);
  }
  const ratio = log(x / alpha);
  const root = sqrt(8 * alpha);
  const tail = (x - alpha - alpha * ratio) ** -1.5;
  const bracket = root / (alpha - x) + (x < alpha ? -tail : tail);
  const sum = ratio * bracket - (sqrt(2 / alpha) * (alpha + x)) / (alpha - x) ** 2;
  const stirling = 1 + (1 / (12 * alpha)) * (1 + 1 / (24 * alpha));
  return (-stirling * x * sum) / root;
}

/** Powers of log x, of log(α / x) and (innermost) of the log of the total by their quotient. */
type Rows = readonly (readonly Polynomial[])[];

const BETA_NUMERATOR: Rows = [
  [
    [1.003668233, -0.01061107488, -0.0657888334, 0.01201642863],
    [0.6336835991, -0.3557432599, 0.05486251648, -0.001465281033],
    [-0.03276231906, 0.004474107445, 0.002429354597, -0.0001557569013],
  ],
  [
    [0.221950385, -0.3187676331, 0.01799915743, 0.01074823814],
    [-0.2951249643, 0.06219954479, 0.01535556598, 0.001550077057],
    [0.02155310298, 0.004170831599, 0.001292462449, 6.976601077e-5],
  ],
  [
    [-0.05980841433, 0.008441916499, 0.01085618172, 0.002319392565],
    [0.02911413504, 0.01400243777, -0.002721828457, 0.000751041181],
    [0.005900514878, -0.001936558688, -9.495446725e-6, 5.385558597e-5],
  ],
];
const BETA_DENOMINATOR: Rows = [
  [
    [1, -0.02924021934, -0.04438342661, 0.007285809825],
    [0.6357567472, -0.3473456711, 0.05454656494, -0.002407477521],
    [-0.03301322327, 0.004845219414, 0.00231480583, -0.0002307248149],
  ],
  [
    [0.5925320577, -0.1757678135, 0.01505928619, 0.000564515273],
    [0.1014815858, -0.06589186703, 0.01272886114, -0.0007316646956],
    [-0.007258481865, 0.001096195486, 0.0003934994223, -4.12701925e-5],
  ],
  [
    [0.06469649321, -0.0236701437, 0.002902096474, -5.896963079e-5],
    [0.001925008108, -0.002869809258, 0.0008000589141, -6.063713228e-5],
    [-0.0003477407336, 6.959756487e-5, 1.097287507e-5, -1.650964693e-6],
  ],
];

/** (∂x/∂α) / (1 − x) of a value x of the Beta distribution of α and total − α: all float32. */
export function dirichletGrad(x: number, alpha: number, total: number): number {
  const beta = fround(total - alpha);
  const boundary = fround(fround(total * x) * fround(1 - x));
  if (x <= 0.5 && boundary < 2.5) return smallByAlpha(x, alpha, beta);
  if (x >= 0.5 && boundary < 0.75) return -smallByBeta(fround(1 - x), beta, alpha);
  if (alpha > 6 && beta > 6) return betaSaddlePoint(x, alpha, total - alpha);
  const u = log(x);
  const a = log(alpha) - u;
  const b = log(total) - a;
  const inA = (rows: Rows[number]): number =>
    at(
      rows.map((p) => at(p, b)),
      a,
    );
  const sum = (rows: Rows): number => at(rows.map(inA), u);
  const approximation = (x * (digamma32(total) - digamma32(alpha))) / (total - alpha);
  return (sum(BETA_NUMERATOR) / sum(BETA_DENOMINATOR)) * approximation;
}

// Where terms nearly cancel, float32 has few digits left: PyTorch's gradients are those of its rounding, step by step.

/** 1 / 12, −1 / 120, … */
const DIGAMMA: Polynomial = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -0.021092796092796094, 1 / 12];
const DIGAMMA_10 = 2.251752589066721;

/** The digamma function of a positive float32, rounded as PyTorch's recurrence rounds it. */
function digamma32(argument: number): number {
  let [x, sum] = [argument, 0];
  for (; x < 10; x = fround(x + 1)) sum -= fround(1 / x);
  if (x === 10) return fround(sum + DIGAMMA_10);
  const z = 1 / fround(x * x);
  return fround(sum + fround(log(x)) - fround(0.5 / x) - z * at(DIGAMMA, z));
}

/** By α, of x near 0. */
function smallByAlpha(x: number, alpha: number, beta: number): number {
  const digammas = fround(digamma32(alpha) - digamma32(fround(alpha + beta)));
  const factor = fround(digammas - fround(log(x)));
  const part = (term: number, below: number): number =>
    fround(fround(term / below) * fround(factor + fround(1 / below)));
  let [term, series] = [1, part(1, alpha)];
  for (let i = 1; i <= 10; i++) {
    term = fround(term * fround(fround(fround(i - beta) * x) / i));
    series = fround(series + part(term, fround(alpha + i)));
  }
  return finite(fround(fround(x * fround(fround(1 - x) ** -beta)) * series));
}

/** By β, of x near 0. */
function smallByBeta(x: number, alpha: number, beta: number): number {
  const factor = fround(digamma32(fround(alpha + beta)) - digamma32(beta));
  let [term, betas, derivative, series] = [1, 1, 0, fround(factor / alpha)];
  for (let i = 1; i <= 8; i++) {
    term = fround(term * fround(-x / i));
    derivative = fround(fround(derivative * fround(beta - i)) + betas);
    betas = fround(betas * fround(beta - i));
    const sum = fround(derivative + fround(factor * betas));
    series = fround(series + fround(fround(term / fround(alpha + i)) * sum));
  }
  return finite(fround(-fround(fround(1 - x) ** fround(1 - beta)) * series));
}

/** Rice's saddle point expansion, for large α and β. */
function betaSaddlePoint(x: number, alpha: number, beta: number): number {
  const total = alpha + beta;
  const mean = alpha / total;
  const std = sqrt((alpha * beta) / (total + 1)) / total;
  if (abs(x - mean) <= 0.1 * std) return nearBetaMean(x, alpha, beta);
  const stirlingOf = (n: number): number => 1 + 1 / (12 * n) + 1 / (288 * n * n);
  const stirling = (stirlingOf(alpha) * stirlingOf(beta)) / stirlingOf(total);
  const distance = beta * x + alpha * (x - 1);
  const sum = 2 * alpha ** 2 * (x - 1) + alpha * beta * (x - 1) - x * beta ** 2;
  const first = sum / (sqrt((2 * alpha) / beta) * total ** 1.5 * distance ** 2);
  const second = 0.5 * log(alpha / (total * x));
  const third = sqrt((8 * alpha * beta) / total) / distance;
  const base = beta * log(beta / (total * (1 - x))) + alpha * log(alpha / (total * x));
  const tail = base ** -1.5;
  const bracket = first + second * (third + (x < mean ? tail : -tail));
  return (stirling * -x * bracket) / sqrt((2 * alpha * beta) / total);
}

/** The same where the expansion is singular: at the mean. */
function nearBetaMean(x: number, alpha: number, beta: number): number {
  const total = alpha + beta;
  const polynomial: Polynomial = [
    47 * x * beta ** 4,
    (43 + 20 * (16 + 27 * beta) * x) * beta ** 3,
    3 * (59 + 180 * beta - 90 * x) * beta ** 2,
    (453 + 1620 * beta * (1 - x) - 455 * x) * beta,
    8 * (1 - x) * (135 * beta - 11),
  ];
  const numerator = ((1 + 12 * alpha) * (1 + 12 * beta)) / total ** 2;
  const denominator = 12960 * alpha ** 3 * beta ** 2 * (1 + 12 * total);
  return ((numerator / (1 - x)) * at(polynomial, alpha)) / denominator;
}
