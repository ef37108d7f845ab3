export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
}

/** A promise to be resolved from outside (`Promise.withResolvers` is not in Node 20). */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: (value) => resolve(value) };
}
