/** Most names in the list. */
const MOST = 200;

/** The machines named in an ssh configuration, in their order, without patterns. */
export function hostsOf(text: string): string[] {
  const names = text.split(/\r?\n/).flatMap((line) => {
    const match = /^\s*host(?:\s+|\s*=\s*)(.+)$/i.exec(line);
    return match === null ? [] : match[1]!.trim().split(/\s+/);
  });
  return [...new Set(names.map((name) => name.replace(/^"(.*)"$/, "$1")))]
    .filter((name) => /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name))
    .slice(0, MOST);
}
