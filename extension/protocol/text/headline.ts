/** The one paragraph of a text that says what happened: its first line, with the next where the first only announces it. */
export function headline(text: string): string {
  const [first = "", second = ""] = text.trim().split(/\s*\n\s*/, 2);
  return first.endsWith(":") && second !== "" ? `${first} ${second}` : first;
}
