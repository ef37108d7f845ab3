/** Recurrent layers, one direction each. */
export const RECURRENT = {
  rnn: {
    uses: ["linear"],
    text: `
/** A recurrent layer: what every step gives, and the last state. x has the inputs' part of every step. */
function rnn(
  x: Float32Array,
  weight: Float32Array,
  start: Float32Array,
  batch: number,
  width: number,
  activation: (x: number) => number,
): [outputs: Float32Array, last: Float32Array] {
  const outputs = new Float32Array(x.length);
  let h = start;
  for (let at = 0; at < x.length; at += batch * width) {
    h = linear(h, weight, batch, width, width).map((sum, i) => activation(sum + x[at + i]!));
    outputs.set(h, at);
  }
  return [outputs, h];
}`,
  },
  gru: {
    uses: ["linear", "sigmoid"],
    text: `
/** A gated recurrent unit: what every step gives, and the last state. Gates are z, r and h. */
function gru(
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array,
  start: Float32Array,
  batch: number,
  width: number,
): [outputs: Float32Array, last: Float32Array] {
  const outputs = new Float32Array(x.length / 3);
  let h = start;
  for (let step = 0; step * batch * width < outputs.length; step++) {
    const sums = linear(h, weight, batch, width, 3 * width);
    h = h.map((before, i) => {
      const [row, unit] = [Math.floor(i / width), i % width];
      const given = (gate: number): number => x[(step * batch + row) * 3 * width + gate * width + unit]!;
      const own = (gate: number): number => sums[row * 3 * width + gate * width + unit]! + bias[gate * width + unit]!;
      const z = sigmoid(given(0) + own(0));
      const r = sigmoid(given(1) + own(1));
      return (1 - z) * Math.tanh(given(2) + r * own(2)) + z * before;
    });
    outputs.set(h, step * batch * width);
  }
  return [outputs, h];
}`,
  },
  lstm: {
    uses: ["linear", "sigmoid"],
    text: `
/** Long short-term memory: what every step gives, and the last state and cell. Gates are i, o, f and c. */
function lstm(
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array,
  start: Float32Array,
  cell: Float32Array,
  batch: number,
  width: number,
): [outputs: Float32Array, last: Float32Array, cell: Float32Array] {
  const outputs = new Float32Array(x.length / 4);
  let [h, c] = [start, cell];
  for (let step = 0; step * batch * width < outputs.length; step++) {
    const sums = linear(h, weight, batch, width, 4 * width);
    const gate = (i: number, k: number): number => {
      const at = Math.floor(i / width) * 4 * width + k * width + (i % width);
      return sums[at]! + x[step * batch * 4 * width + at]! + bias[k * width + (i % width)]!;
    };
    c = c.map((before, i) => sigmoid(gate(i, 2)) * before + sigmoid(gate(i, 0)) * Math.tanh(gate(i, 3)));
    h = c.map((now, i) => sigmoid(gate(i, 1)) * Math.tanh(now));
    outputs.set(h, step * batch * width);
  }
  return [outputs, h, c];
}`,
  },
};
