import type { Cleanup } from './cleanup.ts';

/** A part of a test that cleans up by itself, so that a test of thousands of connections does not keep them all. */
export class Scope implements Cleanup {
  readonly #undos: (() => unknown)[] = [];

  after(undo: () => unknown): void {
    this.#undos.push(undo);
  }

  async undo(): Promise<void> {
    for (const undo of this.#undos) await undo();
  }
}
