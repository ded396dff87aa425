/** What a test's context or a `node:test` hook offers: helpers undo there what they started. */
export interface Cleanup {
  after(undo: () => unknown): void;
}

const started = new WeakMap<Cleanup, (() => unknown)[]>();

/** Undoes at the end of the test, what was started last first: a proxy is stopped when its clients are gone. */
export function atEnd(cleanup: Cleanup, undo: () => unknown): void {
  const known = started.get(cleanup);
  if (known) {
    known.push(undo);
    return;
  }
  const undos = [undo];
  started.set(cleanup, undos);
  cleanup.after(async () => {
    for (const each of undos.toReversed()) await each();
  });
}
