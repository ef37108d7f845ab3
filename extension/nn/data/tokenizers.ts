/** Coder of texts as numbers and back, for tools that show a model's input. */
export interface TextCoder {
  readonly unit: "words" | "characters" | "pieces";
  /** Number of different tokens. */
  readonly size: number;
  /** Numbers of a text's tokens; tokens without a number are left out. */
  encode(text: string): number[];
  token(id: number): string;
}

/** An object made by user code that can be used as a coder. */
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
