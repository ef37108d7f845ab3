/** The first `most` characters and "…" of a text that is longer. No pair of surrogates is torn apart. */
export function clipped(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…` : text;
}
