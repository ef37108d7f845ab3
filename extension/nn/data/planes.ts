/** Pixels of [C, H, W] from red, green, blue and opacity side by side: grey, grey and opacity, colours, or all four. */
export function toPlanes(
  { width, height, data }: { width: number; height: number; data: ArrayLike<number> },
  channels: number,
): Uint8Array {
  const size = width * height;
  const out = new Uint8Array(channels * size);
  for (let i = 0; i < size; i++) {
    const at = 4 * i;
    if (channels < 3) {
      // As Pillow converts to "L": the weights of ITU-R 601-2 in 16 bits.
      out[i] = (data[at]! * 19595 + data[at + 1]! * 38470 + data[at + 2]! * 7471 + 0x8000) >> 16;
      if (channels === 2) out[size + i] = data[at + 3]!;
    } else {
      for (let c = 0; c < channels; c++) out[c * size + i] = data[at + c]!;
    }
  }
  return out;
}
