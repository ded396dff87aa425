import { setFlagsFromString } from 'node:v8';

/** The V8 of Node 24, the first one whose middle compiler, Maglev, is on. */
const WITH_MAGLEV = 13;

/**
 * Has V8 free what Maglev has needed for a function as soon as that is compiled. By default a background thread is to do it, which on one
 * busy core does not get to it while a crowd comes: 20 MB that the C library does not give back. V8 reads the flag each time, so that it
 * may be changed while it runs. Figures: docs/benchmarks.md, "Storms".
 */
export function freeCompilationsAtOnce(v8 = process.versions.v8, setFlags = setFlagsFromString): void {
  if (Number.parseInt(v8) >= WITH_MAGLEV) setFlags('--no-maglev-destroy-on-background');
}
