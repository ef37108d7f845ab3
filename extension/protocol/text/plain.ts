// Text of files, records, tensors and errors is data: none of it may steer the terminal, log or label that shows it.

/** Letters of scripts whose words need zero-width joiners. */
const JOINED =
  String.raw`(?=[\p{L}\p{M}])[\p{sc=Arabic}\p{sc=Syriac}\p{sc=Mongolian}\p{sc=Nko}\p{sc=Devanagari}\p{sc=Bengali}\p{sc=Gurmukhi}` +
  String.raw`\p{sc=Gujarati}\p{sc=Oriya}\p{sc=Tamil}\p{sc=Telugu}\p{sc=Kannada}\p{sc=Malayalam}\p{sc=Sinhala}` +
  String.raw`\p{sc=Myanmar}\p{sc=Khmer}\p{sc=Tibetan}]`;
/** An emoji of several parts: "👩‍💻". */
const PICTURE = String.raw`[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]`;

/** Chooses a glyph of the character before it. */
const VARIANT = String.raw`[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]`;

/**
 * Characters without a shape of their own: controls (escape sequences begin with one), line separators, those that
 * reorder text or hide in it, halves of surrogate pairs. Zero-width joiners count where nothing is joined, variation
 * selectors after another, and marks that pile up beyond what any script has.
 */
const HIDDEN = new RegExp(
  [
    String.raw`[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]`,
    String.raw`[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]`,
    String.raw`[\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e00ff}\u{e01f0}-\u{e0fff}]`,
    String.raw`(?<!${JOINED}|${PICTURE})[\u200c\u200d]`,
    String.raw`[\u200c\u200d](?!${JOINED}|${PICTURE})`,
    String.raw`(?<=${VARIANT})${VARIANT}`,
    String.raw`(?<=\p{M}{8})\p{M}`,
  ].join("|"),
  "gu",
);

/** Most text needs no look at each character. */
const ORDINARY = /^[\x20-\x7e]*$/;
const ORDINARY_LINES = /^[\x20-\x7e\n\t]*$/;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escape(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0)!;
  const digits = code.toString(16);
  if (code <= 0xff) return `\\x${digits.padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\u{${digits}}`;
}

/** Text in lines, for terminals, logs and messages: hidden characters are escaped (`\x1b`), all others stay. */
export function plainText(text: string): string {
  if (ORDINARY_LINES.test(text)) return text;
  return text
    .replaceAll("\r\n", "\n")
    .replaceAll(HIDDEN, (character) =>
      character === "\n" || character === "\t" ? character : escape(character),
    );
}

/** The same for a place of one line, such as a table's cell: line breaks and tabs are escaped as well. */
export function plainLine(text: string): string {
  return ORDINARY.test(text) ? text : text.replaceAll(HIDDEN, escape);
}

/** JSON whose hidden characters are escaped too: it parses to the same value. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replaceAll(HIDDEN, (character) =>
    [...Array(character.length).keys()]
      .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}
