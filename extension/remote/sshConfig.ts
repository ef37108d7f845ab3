/** Most names that are offered. */
const MOST = 200;

/** The names of machines in a configuration of ssh: those that stand for one machine, in their order. */
export function hostsOf(text: string): string[] {
  const names = text.split(/\r?\n/).flatMap((line) => {
    const match = /^\s*host(?:\s+|\s*=\s*)(.+)$/i.exec(line);
    return match === null ? [] : match[1]!.trim().split(/\s+/);
  });
  // Patterns stand for many.
  return [...new Set(names.map((name) => name.replace(/^"(.*)"$/, "$1")))]
    .filter((name) => /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name))
    .slice(0, MOST);
}
