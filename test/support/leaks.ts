/**
 * A test file that leaves something open fails. Loaded with `--import` into every test process by run.ts, so the files
 * themselves need not know of it.
 *
 * A process with an open server, socket or timer never ends by itself; once the last test is over it gets a while for
 * its hooks, then it is ended with the list of what kept it.
 */
import { afterEach, beforeEach } from 'node:test';

/** Milliseconds; longer than any hook takes, that of a server which has to be killed in the end included. */
const GRACE = Number(process.env['LEAK_GRACE'] ?? 20_000);

let running = 0;
let verdict: NodeJS.Timeout | undefined;

// The runner loads this too; only its children run tests.
if (process.env['NODE_TEST_CONTEXT'] !== undefined) {
  beforeEach(testStarts);
  afterEach(testEnds);
}

function testStarts(): void {
  running += 1;
  clearTimeout(verdict);
}

function testEnds(): void {
  running -= 1;
  if (running > 0) return;
  verdict = setTimeout(failWithLeaks, GRACE);
  // It must not be what keeps the process.
  verdict.unref();
}

function failWithLeaks(): void {
  const open = process.getActiveResourcesInfo().filter((kind) => kind !== 'PipeWrap' && kind !== 'TTYWrap');
  process.stderr.write(`left open after the last test: ${open.join(', ') || 'something unnamed'}\n`);
  process.exit(1);
}
