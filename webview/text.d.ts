/** A script as text, for a worker. */
declare module "elkjs/lib/elk-worker.min.js" {
  const code: string;
  export default code;
}
