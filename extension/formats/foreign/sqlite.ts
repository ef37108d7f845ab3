// SQLite's own code as WebAssembly (sql.js): it has no access to files, and reads a copy of the database in its memory.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import initSqlite, { type Database, type SqlJsStatic } from "sql.js";
import { isMissing } from "../../files/fileError.ts";
import { readRegularSync } from "../../files/regular.ts";
import { distFolder } from "../../files/shipped.ts";
import { ForeignError, LONGEST_NAME, MOST_DATABASE } from "./limits.ts";
import { withLog } from "./wal.ts";

const PROGRAM = "sql-wasm.wasm";
/** Bytes that SQLite may take beside the database, and its rows twice, where it sorts them. */
const HEAP_LIMIT = 256 * 2 ** 20;
const HEADER = "SQLite format 3\0";
/** The least bytes of a row, without its texts. */
const ROW_BYTES = 4;
/** Bytes of values that a table may have for each byte of the file, since new columns have defaults, and beside that. */
const MOST_TIMES = 4;
const FREE_BYTES = 2 ** 20;

let loading: Promise<SqlJsStatic> | undefined;

function sqlite(): Promise<SqlJsStatic> {
  const dist = distFolder();
  const file =
    dist === undefined
      ? createRequire(import.meta.url).resolve(`sql.js/dist/${PROGRAM}`)
      : path.join(dist, "wasm", PROGRAM);
  loading ??= initSqlite({ wasmBinary: new Uint8Array(readFileSync(file)).buffer });
  return loading;
}

export type Row = Readonly<Record<string, number | string | Uint8Array | null>>;

/** A database that is only read. */
export class ReadDatabase {
  readonly #file: string;
  readonly #database: Database;
  readonly #tables: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #bytes: number;

  private constructor(file: string, database: Database, bytes: number) {
    this.#file = file;
    this.#database = database;
    this.#bytes = bytes;
    this.#tables = this.#readTables();
  }

  /**
   * Opens a database with the committed transactions of its log.
   * @throws ForeignError for what is no database of SQLite; FileError; the file system's error
   */
  static async open(file: string): Promise<ReadDatabase> {
    const bytes = readRegularSync(file, { limit: MOST_DATABASE });
    if (bytes.subarray(0, HEADER.length).toString("latin1") !== HEADER)
      throw new ForeignError(file, "no database of SQLite");
    const { Database } = await sqlite();
    const whole = withLog(bytes, logOf(file));
    const database = new Database(whole);
    try {
      database.run(`PRAGMA hard_heap_limit = ${HEAP_LIMIT + 2 * bytes.length}`);
      // A stranger's schema may call no function, and a damaged page is found before it is used.
      database.run("PRAGMA trusted_schema = OFF");
      database.run("PRAGMA cell_size_check = ON");
      database.run("PRAGMA query_only = ON");
      // Sorted rows count as its memory.
      database.run("PRAGMA temp_store = MEMORY");
      return new ReadDatabase(file, database, whole.length);
    } catch (error) {
      database.close();
      throw damaged(file, error);
    }
  }

  /** Tables with their columns: views and virtual tables would run what a stranger wrote. */
  #readTables(): Map<string, Set<string>> {
    const tables = new Map<string, Set<string>>();
    for (const { name, sql } of this.#query(
      "SELECT name, sql FROM sqlite_master WHERE type = 'table' LIMIT 1000",
    )) {
      if (typeof name !== "string" || typeof sql !== "string" || !/^CREATE TABLE\b/i.test(sql)) continue;
      tables.set(name, new Set());
    }
    for (const [name, columns] of tables)
      for (const { name: column, hidden } of this.#query(
        `SELECT name, hidden FROM pragma_table_xinfo(?) LIMIT 1000`,
        name,
      ))
        // Generated columns are hidden ones.
        if (typeof column === "string" && hidden === 0) columns.add(column);
    return tables;
  }

  has(table: string, ...columns: string[]): boolean {
    const found = this.#tables.get(table);
    return found !== undefined && columns.every((column) => found.has(column));
  }

  /**
   * The rows of a table in an order, one at a time. Columns that it lacks are null.
   * @throws ForeignError for more than the file has bytes for: pages of a stranger's may have each other as children
   */
  *rows(table: string, columns: readonly string[], order?: string): Generator<Row> {
    const found = this.#tables.get(table);
    if (found === undefined) return;
    const selected = columns.map((name) => (found.has(name) ? quoted(name) : `NULL AS ${quoted(name)}`));
    const most = Math.ceil(this.#bytes / ROW_BYTES);
    let [rows, bytes] = [0, 0];
    const some = `SELECT ${selected.join(", ")} FROM ${quoted(table)} LIMIT ${most + 1}`;
    // Materialized, since SQLite would otherwise sort all of them before it counts.
    const sorted = `WITH some AS MATERIALIZED (${some}) SELECT * FROM some ORDER BY`;
    for (const row of this.#query(order === undefined ? some : `${sorted} ${quoted(order)}`)) {
      for (const value of Object.values(row))
        if (typeof value === "string" || value instanceof Uint8Array) bytes += value.length;
      if (++rows > most || bytes > MOST_TIMES * this.#bytes + FREE_BYTES)
        throw new ForeignError(this.#file, `the table ${table} has more rows than the file has bytes for`);
      yield row;
    }
  }

  *#query(sql: string, ...values: string[]): Generator<Row> {
    try {
      const statement = this.#database.prepare(sql, values);
      try {
        while (statement.step()) yield statement.getAsObject();
      } finally {
        statement.free();
      }
    } catch (error) {
      throw damaged(this.#file, error);
    }
  }

  close(): void {
    this.#database.close();
  }
}

function damaged(file: string, error: unknown): ForeignError {
  if (error instanceof ForeignError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ForeignError(file, `the database can't be read: ${message.slice(0, LONGEST_NAME)}`);
}

function logOf(file: string): Uint8Array {
  try {
    return readRegularSync(`${file}-wal`, { limit: MOST_DATABASE });
  } catch (error) {
    if (isMissing(error)) return new Uint8Array();
    throw error;
  }
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
