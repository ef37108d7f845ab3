import type { Draw } from "./draw.ts";
import type { Generator } from "./generator.ts";

/** The parameter of the distribution that angles are proposed from, in Best and Fisher's algorithm. */
function proposal(concentration: number): number {
  if (concentration < 1e-5) return 1 / concentration + concentration;
  const tau = 1 + Math.sqrt(1 + 4 * concentration ** 2);
  const rho = (tau - Math.sqrt(2 * tau)) / (2 * concentration);
  return (1 + rho ** 2) / (2 * rho);
}

/**
 * Angles of von Mises' distribution by rejection (Best and Fisher 1979), as PyTorch has it: all are proposed again until each was
 * accepted once. Their input has all directions, and then all concentrations.
 */
export function vonMises(size: number): Draw<Float32Array, Float32Array> {
  const fill = (generator: Generator, out: Float32Array, input: Float32Array): void => {
    const concentration = input.subarray(size);
    const r = Float64Array.from(concentration, proposal);
    // No proposal is ever accepted where the concentration is none, nor where it is so high that r is rounded to 1.
    const angles = r.map((x) => (Number.isFinite(x) ? 0 : NaN));
    const done = Uint8Array.from(r, (x) => (x > 1 && x < Infinity ? 0 : 1));
    const uniform = new Float64Array(3 * size);
    for (let left = size - done.reduce((sum, x) => sum + x, 0); left > 0;) {
      for (let i = 0; i < 3 * size; i++) uniform[i] = generator.nextDouble();
      for (let i = 0; i < size; i++) {
        const z = Math.cos(Math.PI * uniform[i]!);
        const f = (1 + r[i]! * z) / (r[i]! + z);
        const c = concentration[i]! * (r[i]! - f);
        const u = uniform[size + i]!;
        if (!(c * (2 - c) - u > 0 || Math.log(c / u) + 1 - c >= 0)) continue;
        angles[i] = Math.sign(uniform[2 * size + i]! - 0.5) * Math.acos(f);
        if (done[i] === 0) left--;
        done[i] = 1;
      }
    }
    for (let i = 0; i < size; i++) {
      const turn = (angles[i]! + Math.PI + input[i]!) % (2 * Math.PI);
      out[i] = (turn < 0 ? turn + 2 * Math.PI : turn) - Math.PI;
    }
  };
  return {
    kind: "von_mises",
    size,
    fill,
    skip: (generator, input) => fill(generator, new Float32Array(size), input),
  };
}
