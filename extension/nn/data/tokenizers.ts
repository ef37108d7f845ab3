/** What turns texts into numbers and back, as tools that show a model's input need it. */
export interface TextCoder {
  readonly unit: "words" | "characters" | "pieces";
  /** How many numbers there are. */
  readonly size: number;
  /** Numbers of a text's tokens; what has no number is left out. */
  encode(text: string): number[];
  token(id: number): string;
}

/** Something that user code made and that can be used as a coder. */
export interface Codes {
  coder(): TextCoder;
}

let listed: Codes[] | undefined;

/** Lists each tokenizer created from now on, until `end`. */
export function listCoders(): { made: readonly Codes[]; end: () => void } {
  const made: Codes[] = (listed = []);
  return { made, end: () => void (listed = undefined) };
}

export function coderMade(one: Codes): void {
  listed?.push(one);
}
