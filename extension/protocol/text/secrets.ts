/**
 * A text without the secrets of the addresses in it: users and passwords, which environment variables and settings may hold, and queries,
 * with which stores of files sign links. What a text has, a log, a record of a run and a report get too.
 */
export const withoutSecrets = (text: string): string =>
  text
    .replaceAll(/:\/\/[^\s/?#'"<>]{1,1000}@/g, "://***@")
    .replaceAll(/(:\/\/[^\s?#'"<>]{1,2000}\?)[^\s'"<>]+/g, "$1***");
