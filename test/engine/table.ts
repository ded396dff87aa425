/** What was done and what came of it. */
export interface Row {
  readonly part: string;
  readonly engine: string;
  readonly done: string;
  readonly result: string;
  readonly ok: boolean;
}

export class Table {
  readonly rows: Row[] = [];

  /** Does one thing and notes how it went; what fails does not keep the others from being done. */
  async row(part: string, engine: string, done: string, work: () => Promise<string>): Promise<void> {
    const [ok, result] = await work().then(
      (text) => [true, text] as const,
      (error: unknown) =>
        [false, (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ')] as const,
    );
    this.rows.push({ part, engine, done, result, ok });
    process.stdout.write(`${ok ? '✔' : '✖'} ${part} | ${engine} | ${done}: ${result}\n`);
  }

  get failed(): number {
    return this.rows.filter(({ ok }) => !ok).length;
  }

  markdown(): string {
    const head = '| Part | Engine | Done | Result |\n|---|---|---|---|\n';
    return head + this.rows.map((row) => `| ${row.part} | ${row.engine} | ${row.done} | ${row.result} |\n`).join('');
  }
}
